"""How far do confidence models carry over to other galleries? Random halves of the CLIP embeddings, in plain numpy.

Each draw takes half of the validation queries as the bank and labels the other half, whose gallery has 500 items. The
models are measured on test queries with galleries of 200, 500 and 1,000 items, and of 500 items with half of the right
answers absent. The table in docs/evaluation.md: `PYTHONPATH=scripts:tests python -m helpers.transfer_simulation DATA`.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from overtop.confidence.fitting import fit_model
from overtop.confidence.model import ModelFacts

FILE = "embeddings/flickr8k_{}_openai_clip_vitb32.npz"
MODALITIES = {"t2i": ("text", "image"), "i2t": ("image", "text")}
TEMPERATURE, ALPHA, NEAREST = 0.01, 0.75, 16
PRECISIONS = (0.8, 0.9)


def load(mirror, split):
    """Return the unit vectors of a split by modality, pair i in row i."""
    arrays = np.load(Path(mirror) / FILE.format(split))
    vectors = {name: arrays[name].astype(np.float64) for name in ("image", "text")}
    return {name: value / np.linalg.norm(value, axis=1, keepdims=True) for name, value in vectors.items()}


def score(queries, gallery, bank, right):
    """Return the uncertainties by estimator, the similarity of the top-1, and the hits; `right` is -1 if absent."""
    similarity = queries @ gallery.T
    top1 = similarity.argmax(axis=1)

    def of_top1(logits):
        return np.exp(logits[np.arange(len(top1)), top1] - logsumexp(logits, axis=1))

    hubness = np.sort(bank @ gallery.T, axis=0)[-NEAREST:].mean(axis=0)
    uncertainty = {
        "top1_similarity": 1 - similarity.max(axis=1),
        "max_softmax": 1 - of_top1(similarity / TEMPERATURE),
        "bank_nnn": 1 - of_top1((similarity - ALPHA * hubness) / TEMPERATURE),
    }
    return uncertainty, similarity.max(axis=1), top1 == right


def measure(model, uncertainty, hit):
    """Return the overconfidence with and without labels, and the precision that each threshold reaches."""
    row = {"overconfidence": model.mapping.probability(uncertainty).mean() - hit.mean()}
    row["unlabelled"] = np.nan if model.estimator == "top1_similarity" else (1 - uncertainty).mean() - hit.mean()
    for item in model.thresholds:
        answered = uncertainty < item.threshold
        row[f"reached {item.precision}"] = hit[answered].mean() if answered.any() else np.nan
    return row


def simulate(mirror, draws):
    """Return one row per draw, direction, estimator and kind of gallery."""
    val, test = load(mirror, "val"), load(mirror, "test")
    n_val, n_test = len(val["text"]), len(test["text"])
    rows = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        in_bank, labelled = np.split(rng.permutation(n_val), 2)
        for direction, (asking, asked) in MODALITIES.items():
            bank = val[asking][in_bank]
            fitted, similarity, hit = score(val[asking][labelled], val[asked][labelled], bank, np.arange(len(labelled)))
            views = {}
            for size in (200, 500, 1000):
                chosen = rng.permutation(n_test)[:size]
                views[str(size)] = score(test[asking][chosen], test[asked][chosen], bank, np.arange(size))
            present = rng.permutation(n_test)[: n_test // 2]
            right = np.full(n_test, -1)
            right[present] = np.arange(len(present))
            views["absent"] = score(test[asking], test[asked][present], bank, right)
            for estimator, uncertainty in fitted.items():
                model = fit_model(
                    {estimator: uncertainty}, similarity, hit, precisions=PRECISIONS, facts=ModelFacts(len(labelled))
                )
                for view, (of_view, _, hit_of_view) in views.items():
                    key = {"view": view, "direction": direction, "estimator": estimator, "draw": seed}
                    rows.append(key | measure(model, of_view[estimator], hit_of_view))
    return pd.DataFrame(rows)


def main():
    """Print means, standard deviations over the draws, and the share of draws in which a precision is missed."""
    warnings.simplefilter("ignore")  # too few labels for some precisions
    rows = simulate(sys.argv[1], draws=40)
    groups = rows.groupby(["view", "estimator", "direction"], sort=False)
    table = groups.mean().drop(columns="draw").join(groups["overconfidence"].std().rename("sd"))
    for precision in PRECISIONS:
        reached = groups[f"reached {precision}"]
        table[f"missed {precision}"] = reached.apply(lambda values, target=precision: (values < target).mean())
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
