"""Data sets: one module per kind with `fetch` and `read`, which returns a `Split`."""
