"""The columns of a table of images: usual names, or those that the entry of the data set gives."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from overtop.config.datasets import Columns
from overtop.errors import OvertopError

USUAL_NAMES = {
    "image": ("image", "file_name", "filename", "image_path", "filepath", "path", "img"),
    "caption": ("caption", "captions", "text", "texts", "sentence", "sentences", "description"),
    "class": ("class", "label"),
}
"""Names of the column of each role; the first one that exists is used."""

USUAL = Columns()


def find_columns(place: str | Path, names: Sequence[str], roles: Iterable[str], given: Columns = USUAL) -> list[str]:
    """The name of the column of each role.

    Args:
        place: the table, for messages.
        names: the names of its columns.
        roles: `image`, `caption` or `class`.
        given: names that replace the usual ones.

    Raises:
        OvertopError: there is no such column.
    """
    return [_find_column(place, names, role, getattr(given, role, None)) for role in roles]


def _find_column(place: str | Path, names: Sequence[str], role: str, given: str | None) -> str:
    wanted = USUAL_NAMES[role] if given is None else (given,)
    column = next((name for name in wanted if name in names), None)
    if column is not None:
        return column
    found = f"its columns are {', '.join(map(repr, names))}" if names else "it has no columns"
    if given is not None:
        raise OvertopError(f"{place}: no column {given!r}, which `columns.{role}` names; {found}")
    how = "rename it" if role == "class" else f"name it in the entry, `columns: {{{role}: NAME}}`"
    raise OvertopError(f"{place}: no column {wanted[0]!r} ({', '.join(wanted[1:])}); {found}; {how}")
