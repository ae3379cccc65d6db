"""Plain definitions, in float64 and with loops, that the fast paths are held against."""

from collections import Counter

import numpy as np
import torch
from scipy.special import digamma, logsumexp


def unit(x):
    x = np.asarray(x, dtype=np.float64)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def similarities(queries, gallery):
    """(S, Q, N) cosines of S samples."""
    return np.stack([unit(q) @ unit(g).T for q, g in zip(queries, gallery, strict=True)])


def order(scores):
    """Gallery indices of one query, best first, the smaller index first among equals."""
    return sorted(range(len(scores)), key=lambda j: (-scores[j], j))


def full_ranking(queries, gallery, top, vote_top):
    """`top_ids`, `top_scores`, `sample_top` from the whole similarity matrices."""
    per_sample = similarities(queries, gallery)
    mean = per_sample.mean(axis=0)
    top_ids = np.array([order(row)[:top] for row in mean])
    sample_top = np.array([[order(sample[q])[:vote_top] for sample in per_sample] for q in range(len(mean))])
    return top_ids, np.take_along_axis(mean, top_ids, axis=1), sample_top


def walk(query, gallery, step=0.025, iterations=50):
    """Length of the normalised-gradient walk that flips the top-1, by autograd in the embedding space."""
    start = torch.as_tensor(query, dtype=torch.float64)
    items = torch.nn.functional.normalize(torch.as_tensor(gallery, dtype=torch.float64), dim=1)
    if len(items) == 1:
        return step * iterations
    first = order((items @ start / start.norm()).tolist())[0]
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


def linear(query, gallery):
    """Margin of the best two over the norm of its gradient, by autograd."""
    x = torch.as_tensor(query, dtype=torch.float64).clone().requires_grad_(True)
    items = torch.nn.functional.normalize(torch.as_tensor(gallery, dtype=torch.float64), dim=1)
    cosines = items @ x / x.norm()
    first, second = order(cosines.tolist())[:2]
    margin = cosines[first] - cosines[second]
    (gradient,) = torch.autograd.grad(margin, x)
    return float(margin.detach() / gradient.norm())


def exact(query, gallery):
    """Distance to the nearest hyperplane between the top-1 and another item."""
    query, items = np.asarray(query, dtype=np.float64), unit(gallery)
    first = order((items @ query).tolist())[0]
    distances = [
        query @ (items[first] - items[j]) / np.linalg.norm(items[first] - items[j])
        for j in range(len(items))
        if j != first
    ]
    return min(distances, default=np.inf)


def mode_share(ballots):
    """Share of the votes of one query's most frequent item."""
    return Counter(ballots).most_common(1)[0][1] / len(ballots)


def jaccard_with_most_voted(lists, k):
    """Mean Jaccard index of one query's lists with their k most frequent items (first met first among equals)."""
    reference = {item for item, _ in Counter(item for row in lists for item in row).most_common(k)}
    return np.mean([len(reference & set(row)) / len(reference | set(row)) for row in lists])


def equal_width_bins(uncertainty, hit, n_bins):
    """(low, high, mean, count, recall) of the non-empty bins; a bin holds its upper edge."""
    edges = np.linspace(min(uncertainty), max(uncertainty), n_bins + 1)
    rows = []
    for i in range(n_bins):
        inside = [
            q
            for q, u in enumerate(uncertainty)
            if (edges[i] + 1e-12 < u or i == 0) and (u <= edges[i + 1] + 1e-12 or i == n_bins - 1)
        ]
        if inside:
            values = [uncertainty[q] for q in inside]
            recall = sum(bool(hit[q]) for q in inside) / len(inside)
            rows.append((edges[i], edges[i + 1], sum(values) / len(values), len(inside), recall))
    return np.array(rows)


def rejection_recall(uncertainty, hit, cut):
    """Expected recall after removing the `cut` most uncertain queries, equals in random order."""
    if cut == 0:
        return sum(map(bool, hit)) / len(hit)
    threshold = sorted(uncertainty, reverse=True)[cut - 1]
    kept = [h for u, h in zip(uncertainty, hit, strict=True) if u < threshold]
    tied = [h for u, h in zip(uncertainty, hit, strict=True) if u == threshold]
    tied_kept = len(hit) - cut - len(kept)
    return (sum(map(bool, kept)) + tied_kept * sum(map(bool, tied)) / len(tied)) / (len(hit) - cut)


def margin(scores):
    """Difference of one query's best two similarities."""
    first, second = order(scores)[:2]
    return scores[first] - scores[second]


def softmax(scores, temperature):
    """Probabilities of one query over the gallery."""
    weights = np.exp((np.asarray(scores, dtype=np.float64) - max(scores)) / temperature)
    return weights / weights.sum()


def entropy(scores, temperature):
    """Entropy of one query's softmax over the gallery, as a share of its largest value."""
    p = softmax(scores, temperature)
    return -sum(x * np.log(x) for x in p if x > 0) / np.log(len(p))


def max_softmax(scores, temperature):
    """Largest probability of one query's softmax over the gallery."""
    return softmax(scores, temperature).max()


def energy(scores, temperature):
    """T log sum exp(s/T) of one query."""
    return temperature * logsumexp(np.asarray(scores, dtype=np.float64) / temperature)


def dirichlet_entropy(scores, temperature):
    """Expected entropy of a categorical drawn from the Dirichlet of alpha = 1e-6 + exp((s + 1)/T), one query."""
    alpha = 1e-6 + np.exp((np.asarray(scores, dtype=np.float64) + 1.0) / temperature)
    return -(alpha / alpha.sum() * (digamma(alpha + 1) - digamma(alpha.sum() + 1))).sum()


def dirichlet_vacuity(scores, temperature):
    """Classes over the sum of alpha + 1 of that Dirichlet."""
    alpha = 1e-6 + np.exp((np.asarray(scores, dtype=np.float64) + 1.0) / temperature)
    return len(alpha) / (alpha + 1).sum()
