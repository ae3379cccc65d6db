"""How samples of an embedding are drawn from one encoder, and the name of that in paths."""

import re
from dataclasses import dataclass
from typing import Self

from overtop.errors import OvertopError

_DETERMINISTIC = "deterministic"
_DROPOUT_PATTERN = re.compile(r"dropout-(?P<rate>0\.\d+)x(?P<passes>[1-9]\d*)(\+(?P<first>[1-9]\d*))?")


@dataclass(frozen=True)
class Sampling:
    """One deterministic pass, or consecutive passes with dropout; `str` gives the name used in paths.

    Attributes:
        rate: dropout rate in (0, 1); 0 for the deterministic pass.
        passes: number of passes.
        first: index of the first pass. The result of a pass depends on its index, not on the other passes of a run.

    >>> str(Sampling.dropout(0.2, 50)), str(Sampling(0.2, 50, first=50))
    ('dropout-0.2x50', 'dropout-0.2x50+50')
    >>> Sampling.parse("deterministic").passes
    1
    """

    rate: float = 0.0
    passes: int = 1
    first: int = 0

    def __post_init__(self) -> None:
        passes_without_dropout = self.rate == 0 and (self.passes > 1 or self.first > 0)
        if not 0 <= self.rate < 1 or self.passes < 1 or self.first < 0 or passes_without_dropout:
            raise OvertopError(
                f"sampling with rate {self.rate} and {self.passes} passes from pass {self.first} is impossible; "
                "use a rate in (0, 1), or one pass without dropout"
            )

    @classmethod
    def dropout(cls, rate: float, passes: int) -> Self:
        """The first `passes` passes with dropout at `rate`, in (0, 1)."""
        return cls(rate, passes)

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read `deterministic`, `dropout-RATExPASSES` or `dropout-RATExPASSES+FIRST`.

        Raises:
            OvertopError: `name` has none of these forms.
        """
        if name == _DETERMINISTIC:
            return cls()
        match = _DROPOUT_PATTERN.fullmatch(name)
        if match is None:
            raise OvertopError(f"sampling {name!r} is unknown; use `deterministic` or a name like `dropout-0.2x50`")
        return cls(float(match["rate"]), int(match["passes"]), int(match["first"] or 0))

    @property
    def is_deterministic(self) -> bool:
        """Whether there is no dropout."""
        return self.rate == 0

    def __str__(self) -> str:
        if self.is_deterministic:
            return _DETERMINISTIC
        return f"dropout-{self.rate:g}x{self.passes}{f'+{self.first}' if self.first else ''}"
