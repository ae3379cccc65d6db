"""Errors that are reported to the user in one line."""

import difflib
from collections.abc import Iterable


class OvertopError(Exception):
    """An error in the input, the configuration or a file.

    The message is one line: the file or key, what is wrong, and how to fix it. Rule scripts print it without a
    traceback. Any other exception is a bug and keeps its traceback.
    """


class MissingFileError(OvertopError):
    """A source was reached, but does not contain the requested file."""


class UnavailableError(OvertopError):
    """A source that may answer the next time, unlike one that lacks a file or contains a wrong one."""


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """The end of an error message about an unknown `word`: the most similar candidate, or all of them."""
    names = sorted(candidates)
    lowered = {name.lower(): name for name in names}  # so that vit-b-32 matches ViT-B-32
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)
    return f"did you mean {lowered[close[0]]!r}?" if close else f"known: {', '.join(names) or 'none'}"
