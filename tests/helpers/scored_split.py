"""Rankings and scores of a split by the scripts of the pipeline, from its manifest and its shards."""

from types import SimpleNamespace

import pandas as pd

from helpers.scripts import load_script
from overtop.terms import DIRICHLET_TEMPERATURE, SOFTMAX_TEMPERATURE

TEMPERATURE = {"softmax": SOFTMAX_TEMPERATURE, "dirichlet": DIRICHLET_TEMPERATURE}


class Inputs(SimpleNamespace):
    """Input files that can be read by name and by position, as Snakemake's."""

    def __getitem__(self, position):
        return list(vars(self).values())[position]


def run_script(name, output, params, name_of_split="test", **inputs):
    """Run the job of a rule script."""
    wildcards = SimpleNamespace(dataset="d", posterior="p", split=name_of_split)
    job = SimpleNamespace(input=Inputs(**inputs), output=[output], params=params, wildcards=wildcards, config={})
    load_script(name).main(job)


def score_split(folder, split, shards, estimators, bank=()):
    """Rank and score a split, and return the score table of the protocol `corrected`.

    Args:
        folder: where `ranking.h5`, `radii.h5` and `scores.parquet` are written.
        split: file of the split.
        shards: file of each modality, perhaps of a larger split.
        estimators: names of the estimators.
        bank: file of the offsets of a bank, if there is one.
    """
    files = {"split": split, **{modality: [path] for modality, path in shards.items()}}
    params = SimpleNamespace(passes=None, top=5, search="stream", temperature=TEMPERATURE, step=0.025, iterations=50)
    run_script("rank", folder / "ranking.h5", params, **files, temperatures=None, bank=bank)
    run_script("radius", folder / "radii.h5", params, **files, ranking=folder / "ranking.h5")
    params = SimpleNamespace(estimators=estimators, protocols=["corrected"], temperature=TEMPERATURE)
    measured = {"ranking": folder / "ranking.h5", "radii": folder / "radii.h5"}
    run_script("score", folder / "scores.parquet", params, split=split, **measured, spread=None, temperatures=None)
    return pd.read_parquet(folder / "scores.parquet")
