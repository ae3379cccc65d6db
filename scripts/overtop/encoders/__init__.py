"""Dual-tower models that open_clip can build: loading, MC dropout and embedding."""
