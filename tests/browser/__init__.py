"""Tests of the page of a report in a real browser."""
