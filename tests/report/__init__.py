"""Tests of the report, and a document for them."""
