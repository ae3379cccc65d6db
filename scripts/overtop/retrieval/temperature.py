"""The temperatures of the softmax over the gallery: configured, or read from a fit on a validation split."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from overtop.storage.json_files import read_json
from overtop.terms import DIRECTIONS, DIRICHLET_TEMPERATURE, SOFTMAX_TEMPERATURE, Direction

FITTED = "fitted"
"""Configured value of `softmax` that requests the fitted temperature."""


@dataclass(frozen=True)
class Temperatures:
    """Temperatures of the softmax over a gallery.

    Attributes:
        softmax: of `entropy`, `max_softmax` and `energy`; CLIP itself was trained at 0.01.
        dirichlet: of the Dirichlet estimators, tau' of UCAT.
    """

    softmax: float = SOFTMAX_TEMPERATURE
    dirichlet: float = DIRICHLET_TEMPERATURE


def load_temperatures(spec: Mapping[str, float | str], fit_path: str | Path | None) -> dict[Direction, Temperatures]:
    """Return the temperatures of each direction.

    Args:
        spec: the configuration: `softmax`, a number or `fitted`, and `dirichlet`, a number.
        fit_path: the fit, needed where `softmax` is `fitted`: JSON with `temperature` for each direction of its split.

    Returns:
        By direction: both, or those of the fit.
    """
    softmax: dict[Direction, float]
    if spec["softmax"] == FITTED:
        assert fit_path, "a fitted temperature needs the file of the fit"
        fits = read_json(fit_path)
        softmax = {direction: fits[direction]["temperature"] for direction in DIRECTIONS if direction in fits}
    else:
        softmax = dict.fromkeys(DIRECTIONS, float(spec["softmax"]))
    return {direction: Temperatures(softmax[direction], float(spec["dirichlet"])) for direction in softmax}


def temperatures_to_sum(temperatures: Mapping[Direction, Temperatures]) -> tuple[float, ...]:
    """Return the distinct temperatures of all directions in ascending order, as `rank` takes them."""
    return tuple(sorted({t for pair in temperatures.values() for t in (pair.softmax, pair.dirichlet)}))
