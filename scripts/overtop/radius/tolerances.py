"""Numerical tolerances of the radius: float32 products decide only where their error cannot matter."""

PRODUCT_ERROR = 1e-5
"""Upper bound on the error of a float32 product of unit vectors; the actual error is about 1e-7."""

SAME_ITEM_DISTANCE = 1e-6
"""Unit gallery items closer than this are the same item to float32 embeddings."""

DISTANCE_DECIMALS = 12
"""Distances are rounded to this many decimals, so that equal ones are equal whatever the order of float64 sums."""

SMALL_SQUARED_DISTANCE = 1e-2
"""Squared distances of gallery items up to this are computed again in float64."""

EQUAL_COSINES = 1e-12
"""Cosines closer than this are equal in float64 arithmetic."""

ZERO_SQUARED_GRADIENT = 1e-12
"""Squared gradients up to this are zero."""
