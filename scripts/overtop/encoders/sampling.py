"""How samples of an embedding are drawn from one encoder, and how that is written in a path."""

import re
from dataclasses import dataclass
from typing import Self

from overtop.errors import OvertopError

_PATTERN = re.compile(r"dropout-(?P<rate>0\.\d+)x(?P<passes>[1-9]\d*)")


@dataclass(frozen=True)
class Sampling:
    """One deterministic pass, or `passes` passes with dropout at `rate`; `str` gives the word used in paths.

    >>> str(Sampling.dropout(0.2, 50))
    'dropout-0.2x50'
    >>> Sampling.parse("deterministic").passes
    1
    """

    rate: float = 0.0
    passes: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1 or self.passes < 1 or (self.rate == 0 and self.passes > 1):
            raise OvertopError(
                f"sampling with rate {self.rate} and {self.passes} passes is impossible; "
                "the rate lies in (0, 1), and without dropout there is one pass"
            )

    @classmethod
    def dropout(cls, rate: float, passes: int) -> Self:
        """`passes` passes with dropout at `rate`, in (0, 1)."""
        return cls(rate, passes)

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read `deterministic` or `dropout-RATExPASSES`.

        Raises:
            OvertopError: `word` is neither.
        """
        if word == "deterministic":
            return cls()
        match = _PATTERN.fullmatch(word)
        if match is None:
            raise OvertopError(f"sampling {word!r} is unknown; write `deterministic` or, say, `dropout-0.2x50`")
        return cls(float(match["rate"]), int(match["passes"]))

    @property
    def is_deterministic(self) -> bool:
        """Whether no dropout is on."""
        return self.rate == 0

    def __str__(self) -> str:
        return "deterministic" if self.is_deterministic else f"dropout-{self.rate:g}x{self.passes}"
