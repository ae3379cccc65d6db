"""Files that appear whole or not at all: tables, HDF5 arrays, shards of embeddings, split manifests."""
