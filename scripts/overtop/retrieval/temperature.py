"""The temperatures at which the softmax over the gallery is taken: configured, or fitted on a validation split."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from overtop.terms import DIRECTIONS, DIRICHLET_TEMPERATURE, SOFTMAX_TEMPERATURE, Direction

FITTED = "fitted"


@dataclass(frozen=True)
class Temperatures:
    """Temperatures of the softmax over a gallery.

    Attributes:
        softmax: of `entropy`, `max_softmax` and `energy`; CLIP itself was trained at 0.01.
        dirichlet: of the Dirichlet estimators, tau' of UCAT.
    """

    softmax: float = SOFTMAX_TEMPERATURE
    dirichlet: float = DIRICHLET_TEMPERATURE


def chosen(spec: Mapping[str, float | str], fitted: str | Path | None) -> dict[Direction, Temperatures]:
    """The temperatures of each direction.

    Args:
        spec: `softmax`, a number or `fitted`, and `dirichlet`, as configured.
        fitted: the file of the fit, for `fitted`: for each direction an object with `temperature`.
    """
    softmax: dict[Direction, float]
    if spec["softmax"] == FITTED:
        assert fitted, "the rule asks for the fit"
        found = json.loads(Path(fitted).read_text(encoding="utf-8"))
        softmax = {direction: found[direction]["temperature"] for direction in DIRECTIONS}
    else:
        softmax = dict.fromkeys(DIRECTIONS, float(spec["softmax"]))
    return {direction: Temperatures(softmax[direction], float(spec["dirichlet"])) for direction in DIRECTIONS}


def to_keep(temperatures: Mapping[Direction, Temperatures]) -> tuple[float, ...]:
    """All of them, as a ranking keeps them."""
    return tuple(sorted({t for pair in temperatures.values() for t in (pair.softmax, pair.dirichlet)}))
