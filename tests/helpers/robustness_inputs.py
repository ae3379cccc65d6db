"""The input files of a robustness study: two models, one with two encoders, two data sets and three attacks."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from overtop.storage.shards import write_shard
from overtop.storage.tables import write_table
from overtop.terms import CLEAN

ENCODERS = {"CLIP": ["plain"], "UCAT": ["ucat-0", "ucat-1"]}
DATASETS = ["cifar10", "captions"]
ATTACKS = {
    "pgd-1": {"kind": "pgd", "epsilon": 1.0, "steps": 10, "step": None, "restarts": 1, "early_stop": False, "seed": 0},
    "dlr-1": {"kind": "apgd-dlr", "epsilon": 1.0, "steps": 100, "restarts": 1, "seed": 0},
    "aa-1": {"kind": "worst", "of": ["pgd-1", "dlr-1"]},
}
RIGHT = {
    ("CLIP", CLEAN): 45, ("CLIP", "pgd-1"): 3, ("CLIP", "dlr-1"): 2, ("CLIP", "aa-1"): 1,
    ("UCAT", CLEAN): 40, ("UCAT", "pgd-1"): 28, ("UCAT", "dlr-1"): 27, ("UCAT", "aa-1"): 25,
}  # fmt: skip
"""Of 50 images those that the first encoder of a model has right, the first ones; the second has two fewer."""
N_IMAGES = 50
IMAGES = [f"image-{i:02}" for i in range(N_IMAGES)]
ESTIMATORS = ("entropy", "dirichlet_entropy", "dirichlet_vacuity", "adversarial_pgd")
BOOTSTRAP = {"resamples": 200, "level": 0.95}


def study_spec(**changes):
    """The entry of the study as plain values."""
    return {"models": ENCODERS, "datasets": DATASETS, "attacks": list(ATTACKS), **changes}


def study_views(datasets=DATASETS, views=(CLEAN, *ATTACKS)):
    """What `as_params` in robustness.inputs.smk makes."""
    return [
        {"dataset": dataset, "model": model, "view": view, "encoder": encoder}
        for dataset in datasets
        for model, encoders in ENCODERS.items()
        for view in views
        for encoder in encoders
    ]


def hits_of(view):
    """(50,) bool of one view."""
    number = ENCODERS[view["model"]].index(view["encoder"])
    return np.arange(N_IMAGES) < RIGHT[view["model"], view["view"]] - 2 * number


def uncertainty_of(view, estimator):
    """(50,) float64: an attack raises all but the Dirichlet vacuity, which it lowers; that is tiny, as in reality."""
    rng = np.random.default_rng([ESTIMATORS.index(estimator), len(view["encoder"])])
    noise = np.random.default_rng(list(view["view"].encode())).normal(0, 0.2, N_IMAGES)
    shift = 0.0 if view["view"] == CLEAN else -0.5 if estimator == "dirichlet_vacuity" else 1.0
    return (rng.normal(size=N_IMAGES) + shift + noise) * (1e-8 if estimator == "dirichlet_vacuity" else 1)


def write_hits(folder, views):
    """Write predictions for the first data set, scores for the second; returns the paths in the order of the views."""
    paths = []
    for number, view in enumerate(views):
        table = pd.DataFrame({"image_id": IMAGES, "hit": hits_of(view)})
        if view["dataset"] == DATASETS[0]:
            table = pd.concat([table.assign(probability=name) for name in ("model", "dirichlet")])
        else:
            table = pd.concat([score_table(view), score_table(view).assign(direction="t2i", hit=True)])
        paths.append(folder / f"hits-{number}.parquet")
        write_table(paths[-1], table)
    return paths


def score_table(view):
    """The scores of one view under both protocols; one estimator exists only under the published one."""
    tables = [
        pd.DataFrame(
            {
                "query_id": IMAGES,
                "image_id": IMAGES,
                "direction": "i2t",
                "estimator": estimator,
                "protocol": protocol,
                "uncertainty": uncertainty_of(view, estimator) + 100 * (protocol == "published"),
                "hit": hits_of(view),
            }
        )
        for estimator in ESTIMATORS
        for protocol in (("published",) if estimator == "adversarial_pgd" else ("published", "corrected"))
    ]
    return pd.concat(tables, ignore_index=True)


def record_of(attack):
    """The specification of an attack as the rule `attack` records it."""
    spec = ATTACKS[attack]
    common = {"name": attack, **spec, "precision": "fp32", "image_size": 48}
    if spec["kind"] == "worst":
        return {"name": attack, "kind": "worst", "of": [record_of(part) for part in spec["of"]]}
    if spec["kind"].startswith("apgd"):
        return {**common, "library": "pyautoattack 0.2.0", "ran": spec["kind"]}
    return {**common, "step": 1.0}


def write_shards(folder, views, shards=1, largest=1.0):
    """Write the shards of attacked images; returns their paths, and the view of each."""
    paths, views_of_paths = [], []
    for number, view in enumerate(views):
        for shard in range(shards):
            path = folder / f"attacked-{number}" / f"image-{shard}of{shards}.h5"
            outcome = {"max_perturbation": largest - 0.1 * shard, "pixel_min": 0.0, "pixel_max": 1.0}
            provenance = {"attack": record_of(view["view"]), "outcome": outcome, "shard": shard, "shards": shards}
            write_shard(path, np.ones((1, 2, 3), dtype=np.float32), ["a", "b"], np.ones(2, dtype=bool), provenance)
            paths.append(path)
            views_of_paths.append(view)
    return paths, views_of_paths


def robustness_job(folder, **changes):
    """The job of scripts/robustness.py, with its input files."""
    views = study_views()
    attacked, attacked_views = write_shards(folder, [view for view in views if view["view"] != CLEAN])
    outputs = SimpleNamespace(
        **{name: folder / "out" / f"mine.{name}" for name in ("csv", "md", "tex")},
        checks=folder / "out/mine-checks.csv",
    )
    params = {
        "spec": study_spec(),
        "views": views,
        "multilabel_views": [],
        "attacked_views": attacked_views,
        "attacks": ATTACKS,
        "objectives": {"CLIP": "clip", "UCAT": "ucat"},
        "training_epsilons": [1.0],
        "bootstrap": BOOTSTRAP,
        "seed": 0,
    }
    return SimpleNamespace(
        input=SimpleNamespace(hits=write_hits(folder, views), multilabel=[], attacked=attacked),
        output=outputs,
        params=SimpleNamespace(**params | changes),
        wildcards=SimpleNamespace(robustness="mine"),
    )


def effects_job(folder):
    """The job of scripts/attack_effects.py, with its input files."""
    views = study_views()
    paths = []
    for number, view in enumerate(views):
        paths.append(folder / f"scores-{number}.parquet")
        write_table(paths[-1], score_table(view))
    return SimpleNamespace(
        input=SimpleNamespace(scores=paths),
        output=SimpleNamespace(csv=folder / "out/mine-uncertainty.csv", md=folder / "out/mine-uncertainty.md"),
        params=SimpleNamespace(spec=study_spec(), views=views, bootstrap=BOOTSTRAP, seed=0, early_stopped=["aa-1"]),
        wildcards=SimpleNamespace(robustness="mine"),
        threads=1,
    )
