"""Probabilities and thresholds: when to act on the top-1 of a query."""
