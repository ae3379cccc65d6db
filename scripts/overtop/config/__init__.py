"""Typed models of config.yaml, one module per section; `model.Config` is the whole file."""
