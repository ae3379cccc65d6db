"""Probabilistic adapters on frozen embeddings (ProbVLM, the comparison method of Table 1)."""
