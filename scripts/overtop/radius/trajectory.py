"""The trajectories of the paper's PGD attack (Eq. 12), computed without D-dimensional gradients.

The loss is the cosine of x with g_1 minus that with the rival, the best of the other items. With v = g_1 - g_j for the
rival j, its gradient is v minus its component along x, divided by |x|. The step x <- x - step * gradient / |gradient|
keeps x a linear combination of the query and of such v. It changes all margins x.(g_1 - g_i) by a factor and by a row
of products v_i.v_j, so many queries are moved at once. The step is tangent to the sphere, so |x|^2 grows by step^2.
Tests compare the distances with the same steps by autograd in float64.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from overtop.radius.candidates import NO_ITEM, Candidates
from overtop.radius.differences import compute_margins
from overtop.radius.geometry import Space
from overtop.radius.tolerances import EQUAL_COSINES, PRODUCT_ERROR, SMALL_SQUARED_DISTANCE, ZERO_SQUARED_GRADIENT


@dataclass(frozen=True)
class PgdSteps:
    """Steps of the attack.

    Attributes:
        step: length of one step (paper: 0.025).
        iterations: largest number of steps (paper: 50).
    """

    step: float = 0.025
    iterations: int = 50

    @property
    def total(self) -> float:
        """The distance of a query whose top-1 never changes."""
        return self.step * self.iterations


@dataclass(frozen=True)
class _QueryArrays:
    """Base of records of arrays whose last axis is the query."""

    def select(self, queries: np.ndarray) -> Self:
        """Return the arrays of some of the queries, given as positions or as a mask."""
        return type(self)(*(getattr(self, field.name)[..., queries] for field in fields(self)))


@dataclass(frozen=True)
class Trajectories(_QueryArrays):
    """The trajectories of B queries of at most T steps.

    Attributes:
        final_distance: (B,) distance from the query at the end.
        rival: (T, B) gallery item that each step approaches; `NO_ITEM` after the end.
        scale: (T, B) factor in the step x <- scale * x - shrink * v.
        shrink: (T, B) factor of v in the step.
        rival_product: (T, B) product of x with the rival, before the step.
        distance: (T, B) distance of x from the query, before the step.
    """

    final_distance: np.ndarray
    rival: np.ndarray
    scale: np.ndarray
    shrink: np.ndarray
    rival_product: np.ndarray
    distance: np.ndarray


def compute_trajectories(space: Space, candidates: Candidates, lengths: np.ndarray, steps: PgdSteps) -> Trajectories:
    """Move B queries until another candidate is at least as similar as the top-1, or for all steps.

    Args:
        space: queries, gallery and ranking.
        candidates: the queries and their candidate rivals.
        lengths: (B,) lengths of the queries.
        steps: length and number of the steps.
    """
    return _TrajectoryState(space, candidates, lengths, steps).run()


@dataclass(frozen=True)
class _Points(_QueryArrays):
    """Where n queries are, each (n,).

    Attributes:
        query: positions of the queries, from 0 to B - 1.
        rival: positions of the rivals, from 0 to K - 1.
        margin: x.v for the rival.
        squared_norm: |x|^2.
        squared_gradient: of the loss, times |x|^2.
        distance: of x from the query.
        is_ambiguous: whether the rival's margin or |v|^2 has to be computed in float64 before it is used.
    """

    query: np.ndarray
    rival: np.ndarray
    margin: np.ndarray
    squared_norm: np.ndarray
    squared_gradient: np.ndarray
    distance: np.ndarray
    is_ambiguous: np.ndarray


class _TrajectoryState:
    """The state of B queries that are moved at once; arguments as in `compute_trajectories`."""

    def __init__(self, space: Space, candidates: Candidates, lengths: np.ndarray, steps: PgdSteps) -> None:
        count = len(lengths)
        self._space, self._candidates, self._lengths, self._steps = space, candidates, lengths, steps
        self._margins = candidates.margins * lengths[:, None]  # x.v_j
        self._start_margins, self._squared = self._margins.copy(), candidates.squared.copy()
        self._is_float64 = np.zeros(self._margins.shape, dtype=bool)
        self._top1_product = space.ranking.top_scores[candidates.rows, 0] * lengths  # x.g_1
        self._query_product = lengths**2  # x.q
        self._scale_product = np.ones(count)  # the factor of the query in x
        self._steps_taken = np.zeros(count, dtype=np.int64)
        rival = np.full((steps.iterations, count), NO_ITEM)
        self._trajectories = Trajectories(np.full(count, steps.total), rival, *np.zeros((4, steps.iterations, count)))

    def run(self) -> Trajectories:
        """Move all queries to the end of their trajectories."""
        active = np.arange(len(self._lengths))
        while active.size:
            points = self._locate(active)
            is_finished = ~points.is_ambiguous & (
                (points.margin <= EQUAL_COSINES * self._lengths[active])
                | (self._steps_taken[active] == self._steps.iterations)
            )
            self._trajectories.final_distance[active[is_finished]] = points.distance[is_finished]
            # A query without a gradient stays where it is; its distance is that of all steps.
            is_moving = ~points.is_ambiguous & ~is_finished & (points.squared_gradient > ZERO_SQUARED_GRADIENT)
            self._move(points.select(is_moving))
            if not is_moving.any():  # ambiguous queries wait for each other, so that embeddings are read rarely
                self._refine(points.select(points.is_ambiguous))
            active = active[points.is_ambiguous | is_moving]
        return self._trajectories

    def _locate(self, active: np.ndarray) -> _Points:
        """Return the rivals of some queries and the geometry of their next step."""
        rival = self._margins[active].argmin(axis=1)
        margin, squared = self._margins[active, rival], self._squared[active, rival]
        length = self._lengths[active]
        squared_norm = length**2 + self._steps_taken[active] * self._steps.step**2
        squared_distance = squared_norm - 2.0 * self._query_product[active] + length**2
        is_close = (np.abs(margin) <= PRODUCT_ERROR * length) | (squared <= SMALL_SQUARED_DISTANCE)
        return _Points(
            query=active,
            rival=rival,
            margin=margin,
            squared_norm=squared_norm,
            squared_gradient=squared - margin**2 / squared_norm,
            distance=np.sqrt(np.maximum(squared_distance, 0.0)),
            is_ambiguous=~self._is_float64[active, rival] & is_close,
        )

    def _move(self, points: _Points) -> None:
        """Take one step from each point, and record it."""
        query, rival, steps_taken = points.query, points.rival, self._steps_taken[points.query]
        squared = self._squared[query, rival]
        shrink = self._steps.step / np.sqrt(points.squared_gradient)
        scale = 1.0 + shrink * points.margin / points.squared_norm
        record = self._trajectories
        record.rival[steps_taken, query] = self._candidates.items[query, rival]
        record.scale[steps_taken, query], record.shrink[steps_taken, query] = scale, shrink
        record.rival_product[steps_taken, query] = self._top1_product[query] - points.margin
        record.distance[steps_taken, query] = points.distance
        gram_rows = self._candidates.gram_rows(query, rival)
        self._margins[query] = self._margins[query] * scale[:, None] - shrink[:, None] * gram_rows
        # |v|^2 may be in float64, its place in the Gram matrix is not.
        self._margins[query, rival] = points.margin * scale - shrink * squared
        self._query_product[query] = scale * self._query_product[query] - shrink * self._start_margins[query, rival]
        self._top1_product[query] = scale * self._top1_product[query] - shrink * squared / 2.0
        self._scale_product[query] *= scale
        self._steps_taken[query] += 1

    def _refine(self, points: _Points) -> None:
        """Compute margin and |v|^2 of the rivals of some points in float64."""
        query, rival = points.query, points.rival
        if not query.size:
            return
        items = self._candidates.items[query, rival]
        rows = self._candidates.rows[query]
        margins, squared = compute_margins(self._space, rows, self._space.top1[rows], items)
        start_margins = margins * self._lengths[query]
        self._squared[query, rival] = squared
        self._margins[query, rival] += self._scale_product[query] * (start_margins - self._start_margins[query, rival])
        self._start_margins[query, rival] = start_margins
        self._is_float64[query, rival] = True
