"""Estimators: from a ranking to one uncertainty per query; higher is less trustworthy."""
