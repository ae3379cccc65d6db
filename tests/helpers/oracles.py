"""Reference implementations of the fast paths: float64, one query at a time, short enough to check by eye.

A test compares a fast path with its reference on small inputs that include ties, duplicates and one-item galleries.
"""

from collections import Counter
from fractions import Fraction

import numpy as np
import torch
from scipy.special import digamma, logsumexp


def normalise(vectors):
    """Scale each vector (..., D) to length 1, in float64; checks the readers of unit vectors."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def cosine_similarities(queries, gallery):
    """Return the cosines (S, Q, N) between queries (S, Q, D) and gallery (S, N, D); checks `retrieval.matmul`."""
    return np.stack([normalise(q) @ normalise(g).T for q, g in zip(queries, gallery, strict=True)])


def descending_order(scores):
    """Return the columns of one row, largest score first, ties by smaller column; checks `retrieval.topk`."""
    return sorted(range(len(scores)), key=lambda column: (-scores[column], column))


def full_ranking(queries, gallery, top, vote_top):
    """Rank all queries with the full similarity matrices; checks `retrieval.exact` and `retrieval.approximate`.

    Args:
        queries: (S, Q, D) embeddings.
        gallery: (S, N, D) embeddings.
        top: items kept of the ranking by mean similarity.
        vote_top: items kept of the ranking of each sample.

    Returns:
        `top_ids` (Q, top), `top_scores` (Q, top) and `sample_top` (Q, S, vote_top).
    """
    per_sample = cosine_similarities(queries, gallery)
    mean = per_sample.mean(axis=0)
    top_ids = np.array([descending_order(row)[:top] for row in mean])
    sample_top = np.array([[descending_order(sample[q])[:vote_top] for sample in per_sample] for q in range(len(mean))])
    return top_ids, np.take_along_axis(mean, top_ids, axis=1), sample_top


def softmax_sums(scores, temperatures):
    """Return the softmax sums of each row of similarities; checks `retrieval.softmax_sums`.

    The largest similarity contributes exactly 1 and is added last, so that a sum close to 1 is not rounded.

    Args:
        scores: (Q, N) similarities.
        temperatures: T temperatures.

    Returns:
        `log_partition` (Q, T): log sum exp((s - max s) / temperature); `mean_gap` (Q, T): max s - softmax mean of s.
    """
    ascending = np.sort(np.asarray(scores, dtype=np.float64), axis=1)
    gaps = ascending[:, -1:, None] - ascending[:, :-1, None]
    weights = np.exp(-gaps / np.array(temperatures))
    others = weights.sum(axis=1)
    return np.log1p(others), (weights * gaps).sum(axis=1) / (1 + others)


def partition(embeddings, declared):
    """Return the group of each item: the declared one of the first item with equal embeddings (S times (N, D)), as the
    smallest index in it; checks `retrieval.groups`."""
    samples = [np.asarray(sample, dtype=np.float32) for sample in embeddings]
    items = [tuple(sample[item].tobytes() for sample in samples) for item in range(len(samples[0]))]
    of_item = [declared[items.index(item)] for item in items]
    return np.array([of_item.index(group) for group in of_item])


def group_softmax(scores, groups, temperature, read_at=None):
    """Return minus the log probability of the group of one item, and the entropy over groups, of one query.

    Args:
        scores: (N,) similarities.
        groups: (N,) group of each item.
        temperature: of the softmax.
        read_at: the item; the best one by default.
    """
    read_at = descending_order(scores)[0] if read_at is None else read_at
    weights = Counter()
    for score, group in zip(scores, groups, strict=True):
        weights[group] += np.exp((score - scores[read_at]) / temperature)
    others = sum(weight for group, weight in sorted(weights.items()) if group != groups[read_at])
    total = sum(weights.values())
    entropy = -sum(weight / total * np.log(weight / total) for weight in weights.values() if weight > 0)
    return np.log1p(others / weights[groups[read_at]]), entropy


def rivals(scores, groups, count):
    """Return the best item of each of the `count` best groups but that of the best item, for one query."""
    order, seen, found = descending_order(scores), set(), []
    for item in order:
        if groups[item] not in seen:
            seen.add(groups[item])
            found.append(item)
    return found[1 : count + 1]


def pgd_radius(query, gallery, step=0.025, iterations=50):
    """Return the distance at which the paper's gradient walk changes the top-1; checks `radius.pgd`.

    Every step has length `step` and follows the gradient that autograd computes in the embedding space.

    Args:
        query: (D,) embedding.
        gallery: (N, D) embeddings.
        step: length of one step.
        iterations: largest number of steps.
    """
    start = torch.as_tensor(query, dtype=torch.float64)
    items = torch.nn.functional.normalize(torch.as_tensor(gallery, dtype=torch.float64), dim=1)
    if len(items) == 1:
        return step * iterations
    first = descending_order((items @ start / start.norm()).tolist())[0]
    others = [j for j in range(len(items)) if j != first]
    x = start.clone()
    for _ in range(iterations):
        x = x.detach().requires_grad_(True)
        cosines = items @ x / x.norm()
        loss = cosines[first] - cosines[others].max()
        if loss <= 0:
            break
        (gradient,) = torch.autograd.grad(loss, x)
        x = x - step * gradient / gradient.norm()
    return float((x.detach() - start).norm())


def linear_radius(query, gallery):
    """Return the top-2 margin of one query over the norm of its gradient, by autograd; checks `radius.exact`."""
    x = torch.as_tensor(query, dtype=torch.float64).clone().requires_grad_(True)
    items = torch.nn.functional.normalize(torch.as_tensor(gallery, dtype=torch.float64), dim=1)
    cosines = items @ x / x.norm()
    first, second = descending_order(cosines.tolist())[:2]
    difference = cosines[first] - cosines[second]
    (gradient,) = torch.autograd.grad(difference, x)
    return float(difference.detach() / gradient.norm())


def exact_radius(query, gallery, groups=None):
    """Return one query's distance to the nearest decision boundary of its top-1; checks `radius.exact`.

    Args:
        query: (D,) embedding.
        gallery: (N, D) embeddings.
        groups: (N,) groups; a boundary with an item in the group of the top-1 does not count.
    """
    query, items = np.asarray(query, dtype=np.float64), normalise(gallery)
    groups = np.arange(len(items)) if groups is None else np.asarray(groups)
    first = descending_order((items @ query).tolist())[0]
    distances = [
        query @ (items[first] - items[j]) / np.linalg.norm(items[first] - items[j])
        for group in set(groups.tolist()) - {groups[first]}
        for j in np.flatnonzero(groups == group)
    ]
    return min(distances, default=np.inf)


def mode_share(votes):
    """Return the share of one query's votes for its most frequent item; checks `estimators.consistency`."""
    return Counter(votes).most_common(1)[0][1] / len(votes)


def jaccard_with_most_voted(lists, k):
    """Return the mean Jaccard index of one query's lists with their most voted items; checks `estimators.consistency`.

    The k most frequent items are compared; among equally frequent items, the first in the lists is preferred.
    """
    return mean_jaccard(lists, [item for item, _ in Counter(item for row in lists for item in row).most_common(k)])


def mean_jaccard(lists, reference):
    """Return the mean Jaccard index of lists with a reference, all as multisets; checks `estimators.consistency`."""
    pairs = [(Counter(reference), Counter(row)) for row in lists]
    indices = [Fraction((first & second).total(), (first | second).total()) for first, second in pairs]
    return float(sum(indices) / len(indices))


def linspace_float32(start, end, count):
    """Return the numbers of torch.linspace on a CPU with fused multiply-add; checks `evaluation.calibration`."""
    step = float((end - start) / np.float32(count - 1))
    lower = [np.float32(float(start) + i * step) for i in range(count // 2)]
    upper = [np.float32(float(end) - i * step) for i in range(count - count // 2)]
    return lower + upper[::-1]


def equal_width_bins(uncertainty, hit, n_bins, protocol="corrected"):
    """Return the non-empty calibration bins of equal width; checks `evaluation.calibration`.

    `corrected`: a bin includes its upper edge, with a tolerance of 1e-12. `published`: bins of the float32 confidence
    between the edges of torch.linspace; each includes its lower edge, the highest bin also its upper one.

    Returns:
        (B, 5): lower edge, upper edge, mean uncertainty, number of queries, recall@1.
    """
    if protocol == "published":
        values = [np.float32(1 - u) for u in uncertainty]
        edges = linspace_float32(min(values), max(values), n_bins + 1)
        upper = [*edges[1:-1], np.inf]
        members = [[q for q, c in enumerate(values) if edges[i] <= c < upper[i]] for i in range(n_bins)][::-1]
        edges = [1 - float(edge) for edge in edges[::-1]]
    else:
        edges = np.linspace(min(uncertainty), max(uncertainty), n_bins + 1)
        lower, upper = [-np.inf, *(edges[1:-1] + 1e-12)], [*(edges[1:-1] + 1e-12), np.inf]
        members = [[q for q, u in enumerate(uncertainty) if lower[i] < u <= upper[i]] for i in range(n_bins)]
    rows = []
    for i, inside in enumerate(members):
        if inside:
            mean = sum(uncertainty[q] for q in inside) / len(inside)
            rows.append((edges[i], edges[i + 1], mean, len(inside), sum(bool(hit[q]) for q in inside) / len(inside)))
    return np.array(rows)


def rejection_recall(uncertainty, hit, rejected):
    """Return the expected recall@1 without the `rejected` most uncertain queries; checks `evaluation.rejection`.

    Queries of equal uncertainty are rejected in random order.
    """
    if rejected == 0:
        return sum(map(bool, hit)) / len(hit)
    threshold = sorted(uncertainty, reverse=True)[rejected - 1]
    below = [h for u, h in zip(uncertainty, hit, strict=True) if u < threshold]
    tied = [h for u, h in zip(uncertainty, hit, strict=True) if u == threshold]
    remaining = len(hit) - rejected
    remaining_tied = remaining - len(below)
    return (sum(map(bool, below)) + remaining_tied * sum(map(bool, tied)) / len(tied)) / remaining


def margin(scores):
    """Return the difference of one query's two largest similarities; checks `estimators.similarity`."""
    first, second = descending_order(scores)[:2]
    return scores[first] - scores[second]


def softmax(scores, temperature):
    """Return one query's probabilities over the gallery."""
    weights = np.exp((np.asarray(scores, dtype=np.float64) - max(scores)) / temperature)
    return weights / weights.sum()


def entropy(scores, temperature):
    """Return the entropy of one query's softmax divided by log N; checks `estimators.similarity`."""
    p = softmax(scores, temperature)
    return -sum(x * np.log(x) for x in p if x > 0) / np.log(len(p))


def max_softmax(scores, temperature):
    """Return the largest probability of one query's softmax; checks `estimators.similarity`."""
    return softmax(scores, temperature).max()


def energy(scores, temperature):
    """Return T log sum exp(s/T) of one query; checks `estimators.similarity`."""
    return temperature * logsumexp(np.asarray(scores, dtype=np.float64) / temperature)


def dirichlet_alpha(scores, temperature):
    """Return the Dirichlet parameters alpha = 1e-6 + exp((s + 1)/T) of one query."""
    return 1e-6 + np.exp((np.asarray(scores, dtype=np.float64) + 1.0) / temperature)


def dirichlet_entropy(scores, temperature):
    """Return the expected entropy of a categorical drawn from one query's Dirichlet; checks `estimators.dirichlet`."""
    alpha = dirichlet_alpha(scores, temperature)
    return -(alpha / alpha.sum() * (digamma(alpha + 1) - digamma(alpha.sum() + 1))).sum()


def dirichlet_vacuity(scores, temperature):
    """Return N over the sum of alpha + 1 of one query's Dirichlet; checks `estimators.dirichlet`."""
    alpha = dirichlet_alpha(scores, temperature)
    return len(alpha) / (alpha + 1).sum()


def group_margin(scores, groups, temperature):
    """Return the best similarity minus the best one of another group; checks `estimators.similarity`."""
    best = descending_order(scores)[0]
    return scores[best] - max(score for score, group in zip(scores, groups, strict=True) if group != groups[best])


def group_entropy_confidence(scores, groups, temperature):
    """Return one minus the entropy of the probabilities of groups over its maximum."""
    return 1 - group_softmax(scores, groups, temperature)[1] / np.log(len(set(groups)))


def group_max_softmax(scores, groups, temperature):
    """Return the probability of the group of the best item."""
    return np.exp(-group_softmax(scores, groups, temperature)[0])


GROUPED = {
    "margin": group_margin,
    "entropy": group_entropy_confidence,
    "max_softmax": group_max_softmax,
    "energy": lambda scores, groups, temperature: energy(scores, temperature),
}
"""Confidence of one query by its similarities (N,), the groups (N,) of the items, and the temperature."""
