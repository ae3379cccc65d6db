"""Ranking a gallery for every query: exact and approximate passes, relevance of the results, temperatures."""
