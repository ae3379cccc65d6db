"""Names of architectures without their activation, under which published numbers are listed."""

from collections.abc import Iterable, Mapping
from typing import Any

_ACTIVATION = "-quickgelu"


def strip_activation(architecture: str) -> str:
    """An open_clip name without its activation: `ViT-L-14` for `ViT-L-14-quickgelu`."""
    return architecture.removesuffix(_ACTIVATION)


def join_architectures(encoders: Iterable[Mapping[str, Any]]) -> str:
    """The distinct architectures of a posterior without their activation, joined by "+".

    Args:
        encoders: provenance of its encoders. Imported embeddings have no `architecture`; the result is then empty.
    """
    names = [strip_activation(encoder.get("architecture", "")) for encoder in encoders]
    return "+".join(dict.fromkeys(names)) if all(names) else ""
