"""Downloading files: resumed after interruptions, verified and recorded."""
