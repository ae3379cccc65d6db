"""overtop: know when CLIP's top hit is wrong."""

__version__ = "0.1.0"
