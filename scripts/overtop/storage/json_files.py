"""JSON files with a digest of their content."""

import json
import os
from collections.abc import Mapping
from typing import Any

from overtop.storage.digests import DIGEST_KEY, REBUILD, UNSET, read_checked, store_digest
from overtop.storage.files import atomic_path, write_text


def write_json(path: str | os.PathLike[str], value: Mapping[str, Any]) -> None:
    """Write indented JSON with sorted keys and a digest under the key `content_sha256`, atomically.

    Args:
        path: the file.
        value: what JSON can represent.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(_format({**value, DIGEST_KEY: UNSET}), encoding="utf-8")
        store_digest(temporary, "json")


def read_json(path: str | os.PathLike[str], fix: str = REBUILD) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Args:
        path: the file.
        fix: what to do about a damaged file.

    Raises:
        OvertopError: the file is missing, truncated or altered, or has no digest.
    """
    value: dict[str, Any] = json.loads(read_checked(path, "json", fix))
    del value[DIGEST_KEY]
    return value


def write_plain_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write indented JSON with sorted keys and without a digest, atomically: what other programs or people read."""
    write_text(path, _format(value))


def _format(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
