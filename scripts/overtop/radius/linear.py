"""The paper's linear estimate of the distance at which the second best item overtakes the top-1 (Eq. 14).

linear = q.v / |v'|,    v = g_1 - g_2,    v' = v without its component along q: the gradient of the cosine
"""

import numpy as np

from overtop.radius.differences import compute_margins
from overtop.radius.geometry import Space
from overtop.radius.tolerances import PRODUCT_ERROR, SAME_ITEM_DISTANCE


def linear_distances(space: Space) -> np.ndarray:
    """Return the linear estimate of every query, (Q,) float64, for queries of length one.

    Which of several almost equal items is second is decided in float64, and by their order where they are equal.
    Infinity if there is no second item.
    """
    ranking = space.ranking
    linear = np.full(len(ranking.top_ids), np.inf)
    if ranking.top_ids.shape[1] == 1:
        return linear
    scores = ranking.top_scores.astype(np.float64)
    query, column = np.nonzero(scores[:, 1:] >= scores[:, 1:2] - PRODUCT_ERROR)
    column += 1
    margins, squared = compute_margins(space, query, space.top1[query], ranking.top_ids[query, column])
    order = np.lexsort((column, margins, query))
    second = order[np.unique(query[order], return_index=True)[1]]
    margins, squared = margins[second], squared[second]
    # The gradient of a cosine with respect to the query is tangent to the sphere.
    tangent = np.sqrt(np.maximum(squared - margins**2, 0.0))
    has_gradient = tangent > SAME_ITEM_DISTANCE
    linear[has_gradient] = margins[has_gradient] / tangent[has_gradient]
    linear[margins == 0.0] = 0.0
    return linear
