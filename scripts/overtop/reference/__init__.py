"""Published numbers that results are compared with, and the publications they come from."""
