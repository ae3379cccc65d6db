"""Perturbations of pixels within an epsilon ball that change what an encoder retrieves."""
