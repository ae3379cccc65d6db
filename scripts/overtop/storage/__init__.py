"""Atomic files, HDF5 arrays, shards of embeddings, and split manifests."""
