"""The aligned unimodal encoders' pretrained towers: where they are installed, and how they enter open_clip."""
from typing import Any
def options(architecture: str) -> dict[str, Any]:
    return {}
def tokenizer(architecture: str) -> Any:
    return None
