"""Data sets: one module per kind with `fetch` and `read`; each ends in a split manifest."""
