"""Whether the regularisers of an objective outweigh its data term: a weight does not carry over between encoders."""

from collections.abc import Mapping
from math import inf

import torch

MAX_RATIO = 20.0
"""Ratio of a regulariser to the data term above which training is driven by the regulariser."""


class TermBalance:
    """Means of an objective's terms over the first steps of training.

    >>> balance = TermBalance(steps=1)
    >>> balance.add({"cross_entropy": torch.tensor(5.5), "kl_dirichlet": torch.tensor(729.0)})
    >>> balance.is_complete, balance.means()
    (True, {'cross_entropy': 5.5, 'kl_dirichlet': 729.0})
    >>> balance.warnings()  # doctest: +ELLIPSIS
    ['kl_dirichlet (729) is 133 times cross_entropy (5.5) in the first steps and dominates training; ...
    """

    def __init__(self, steps: int = 10) -> None:
        self._steps = steps
        self._count = 0
        self._sums: dict[str, torch.Tensor] = {}

    @property
    def is_complete(self) -> bool:
        """Whether all of the first steps have been added."""
        return self._count >= self._steps

    def add(self, terms: Mapping[str, torch.Tensor]) -> None:
        """Add the terms of one step, the data term first; ignored after the first steps. No device is waited for."""
        if self.is_complete:
            return
        for name, term in terms.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(term)) + term.detach()
        self._count += 1

    def means(self) -> dict[str, float]:
        """The mean of each term, the data term first; empty before the first step."""
        return {name: total.item() / self._count for name, total in self._sums.items()}

    def warnings(self) -> list[str]:
        """One line for each regulariser that exceeds the data term by more than `MAX_RATIO`."""
        (data, base), *regularisers = self.means().items() or [("", 0.0)]
        return [
            f"{name} ({value:.3g}) is {value / base if base else inf:.0f} times {data} ({base:.3g}) in the first steps "
            "and dominates training; reduce the weight of the objective if it has one"
            for name, value in regularisers
            if value > MAX_RATIO * base
        ]
