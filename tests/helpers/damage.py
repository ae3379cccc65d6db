"""Damage to files: one flipped byte, or a cut; and what a reader makes of it."""

import io
import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from overtop.errors import OvertopError


def flip(content: bytes, draw: random.Random) -> bytes:
    """Change one byte."""
    place = draw.randrange(len(content))
    changed = bytearray(content)
    changed[place] ^= draw.randrange(1, 256)
    return bytes(changed)


def cut(content: bytes, draw: random.Random) -> bytes:
    """Lose the end."""
    return content[: draw.randrange(len(content))]


def damages(content: bytes, flips: int, cuts: int, draw: random.Random) -> Iterator[bytes]:
    """Yield damaged versions of a content."""
    for _ in range(flips):
        yield flip(content, draw)
    for _ in range(cuts):
        yield cut(content, draw)


def frozen(value: Any) -> bytes:
    """Bytes that are equal where values are, of whatever a reader returns."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Tensors by their values: torch pickles them as handles of its storage."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return bytes, (value.detach().contiguous().numpy().tobytes(),)
        return NotImplemented


def read_damaged(
    path: Path, read: Callable[[], Any], named: Path, flips: int, cuts: int, seed: int
) -> tuple[Counter[str], list[str]]:
    """Damage a file again and again, read it, and put it back.

    Args:
        path: the file.
        read: what reads it, and returns a value or raises.
        named: the file that an error is to name.
        flips: number of versions with one changed byte.
        cuts: number of versions without the end.
        seed: of the damage.

    Returns:
        The numbers of "named", "same" and "silent" outcomes; descriptions of all others: tracebacks, and errors that
        name another file.
    """
    content = path.read_bytes()
    expected = frozen(read())
    outcomes: Counter[str] = Counter()
    others = []
    try:
        for damaged in damages(content, flips, cuts, random.Random(seed)):
            path.unlink(missing_ok=True)  # a file that is mapped must not change
            path.write_bytes(damaged)
            try:
                outcomes["same" if frozen(read()) == expected else "silent"] += 1
            except OvertopError as error:
                if str(named) in str(error) and "\n" not in str(error):
                    outcomes["named"] += 1
                else:
                    others.append(f"names another file or has several lines: {error}")
            except Exception as error:
                others.append(repr(error))
    finally:
        path.write_bytes(content)
    return outcomes, others
