"""How samples of an embedding are drawn from one encoder, and how that is written in a path."""

import re
from dataclasses import dataclass
from typing import Self

from overtop.errors import OvertopError

_PATTERN = re.compile(r"dropout-(?P<rate>0\.\d+)x(?P<passes>[1-9]\d*)(\+(?P<first>[1-9]\d*))?")


@dataclass(frozen=True)
class Sampling:
    """One deterministic pass, or a run of passes with dropout at `rate`; `str` gives the word used in paths.

    Attributes:
        rate: of dropout; 0 without.
        passes: how many.
        first: number of the first pass. Pass number p is the same in whatever run it comes.

    >>> str(Sampling.dropout(0.2, 50)), str(Sampling(0.2, 50, first=50))
    ('dropout-0.2x50', 'dropout-0.2x50+50')
    >>> Sampling.parse("deterministic").passes
    1
    """

    rate: float = 0.0
    passes: int = 1
    first: int = 0

    def __post_init__(self) -> None:
        alone = self.rate == 0 and (self.passes > 1 or self.first > 0)
        if not 0 <= self.rate < 1 or self.passes < 1 or self.first < 0 or alone:
            raise OvertopError(
                f"sampling with rate {self.rate} and {self.passes} passes from {self.first} is impossible; "
                "the rate lies in (0, 1), and without dropout there is one pass"
            )

    @classmethod
    def dropout(cls, rate: float, passes: int) -> Self:
        """`passes` passes with dropout at `rate`, in (0, 1)."""
        return cls(rate, passes)

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read `deterministic`, `dropout-RATExPASSES` or `dropout-RATExPASSES+FIRST`.

        Raises:
            OvertopError: `word` is none of them.
        """
        if word == "deterministic":
            return cls()
        match = _PATTERN.fullmatch(word)
        if match is None:
            raise OvertopError(f"sampling {word!r} is unknown; write `deterministic` or, say, `dropout-0.2x50`")
        return cls(float(match["rate"]), int(match["passes"]), int(match["first"] or 0))

    @property
    def is_deterministic(self) -> bool:
        """Whether no dropout is on."""
        return self.rate == 0

    def __str__(self) -> str:
        if self.is_deterministic:
            return "deterministic"
        return f"dropout-{self.rate:g}x{self.passes}{f'+{self.first}' if self.first else ''}"
