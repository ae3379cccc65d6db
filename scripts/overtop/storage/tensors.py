"""Tensors in one verified safetensors file; the same content always gives the same bytes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from overtop.errors import OvertopError
from overtop.storage.digests import DIGEST_KEY, REBUILD, UNSET, check_digest, store_digest
from overtop.storage.files import atomic_path


def write_tensors(path: str | Path, schema: str, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts, atomically and with a digest.

    Args:
        path: the file.
        schema: kind and version of the content, such as `adapters/1`; the reader must expect the same.
        tensors: by name.
        facts: JSON-serialisable provenance.
    """
    # A single metadata entry, because safetensors writes several in no fixed order; the digest is its first key.
    entry = json.dumps({DIGEST_KEY: UNSET, "facts": dict(facts)}, sort_keys=True)
    content = save({key: value.contiguous() for key, value in tensors.items()}, metadata={schema: entry})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)  # `save_file` creates a file that only its owner can read
        store_digest(temporary, "safetensors")


def read_tensors(path: str | Path, schema: str, fix: str = REBUILD) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read the tensors and the facts that `write_tensors` wrote.

    Args:
        path: the file.
        schema: that of the writer.
        fix: what to do about a damaged file.

    Raises:
        OvertopError: the file is missing, truncated or altered, or has no digest or another schema.
    """
    facts = read_facts(path, schema, fix)
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118 (not a mapping)


def read_facts(path: str | Path, schema: str, fix: str = REBUILD) -> dict[str, Any]:
    """Read the facts of a file after its whole content was checked; see `read_tensors`."""
    check_digest(path, "safetensors", fix)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise OvertopError(f"{path}: is not a safetensors file ({error}); {fix}") from error
    if schema not in metadata:
        raise OvertopError(f"{path}: has schema {', '.join(metadata)!r}, expected {schema!r}; {fix}")
    facts: dict[str, Any] = json.loads(metadata[schema])["facts"]
    return facts
