"""Which columns a table has: what the page that describes all tables is made from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from overtop.columns.column import Column
from overtop.columns.meanings import INTERVAL_ENDS, describe
from overtop.errors import OvertopError


@dataclass(frozen=True)
class TableColumns:
    """The columns of the tables at one path.

    Attributes:
        path: pattern of `pipeline.paths`.
        rows: what one row is.
        columns: names, those of the two ends of an interval behind their number.
        optional: further columns, and when there are any.
        own: columns that mean something else here than in other tables.
        note: what else is said of the path.
    """

    path: str
    rows: str
    columns: Sequence[str]
    optional: dict[str, Sequence[str]] = field(default_factory=dict)
    own: dict[str, Column] = field(default_factory=dict)
    note: str = ""

    def names(self) -> list[str]:
        """All columns, the optional ones last."""
        return [*self.columns, *(name for names in self.optional.values() for name in names)]

    @property
    def has_free_names(self) -> bool:
        """Whether some further columns have names of the configuration: they are optional without a list of names."""
        return not all(self.optional.values())

    def describe(self, name: str) -> Column:
        """What a column holds.

        Raises:
            OvertopError: it has no meaning.
        """
        column = self.own.get(name) or describe(name)
        if column is None:
            raise OvertopError(f"overtop.columns: {name!r} of {self.path} has no meaning; add one")
        return column

    def is_interval_end(self, name: str) -> bool:
        """Whether a column is an end of the interval of another column of the table."""
        bases = (name.removesuffix(end) for end in INTERVAL_ENDS if name.endswith(end))
        return any(base in self.names() for base in bases)


def with_intervals(names: Iterable[str]) -> list[str]:
    """Each name, followed by those of the two ends of its interval."""
    return [name + end for name in names for end in ("", *INTERVAL_ENDS)]
