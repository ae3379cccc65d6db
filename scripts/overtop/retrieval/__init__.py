"""Ranking a gallery for every query: the exact pass, approximate search, and what is read off a ranking."""
