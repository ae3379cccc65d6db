"""Probabilistic adapters on frozen embeddings: the comparison row of Table 1 (Upadhyay et al., ICCV 2023)."""
