"""One name for one architecture, whatever activation it is built with."""

from collections.abc import Iterable, Mapping
from typing import Any

_ACTIVATION = "-quickgelu"


def plain(architecture: str) -> str:
    """An open_clip name without what it says of the activation: `ViT-L-14` for `ViT-L-14-quickgelu`."""
    return architecture.removesuffix(_ACTIVATION)


def joined(encoders: Iterable[Mapping[str, Any]]) -> str:
    """The architectures of a posterior, each once, joined by "+"; empty where an encoder's is unknown.

    Args:
        encoders: provenance of its encoders; embeddings made elsewhere have no `architecture`.
    """
    names = [plain(encoder.get("architecture", "")) for encoder in encoders]
    return "+".join(dict.fromkeys(names)) if all(names) else ""
