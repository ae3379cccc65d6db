"""Dual-tower models that open_clip can build: loading, training, MC dropout and embedding.

`spec`, `sampling` and `catalogue` import neither torch nor open_clip; everything else goes through `compat`.
"""
