"""The one exception a user is meant to read."""

import difflib
from collections.abc import Iterable


class OvertopError(Exception):
    """A mistake in the input, the configuration or a file, told in one line.

    The message names the file or key, says what is wrong and how to mend it. Rule scripts print it
    without a traceback; anything else that is raised is a bug and keeps its traceback.
    """


class NotThere(OvertopError):
    """A source was reached, and has no such file."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown `word`: the closest known one, or all of them."""
    known = sorted(known)
    lowered = {other.lower(): other for other in known}  # people write vit-b-32
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)
    return f"did you mean {lowered[close[0]]!r}?" if close else f"known: {', '.join(known) or 'none'}"
