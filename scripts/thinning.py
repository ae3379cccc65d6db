"""Measure transductive estimators against the number of test queries, beside others and the learned bar.

Reads: the shards, the ranking and the scores of a posterior, and its scores on the labelled split.
Computes: all similarities at once; AUROC and AURC on random subsets of the queries; a logistic regression.
Writes: results/thinning/{figure}.csv, which the figure draws.
"""

import numpy as np
import pandas as pd

from overtop.config.figures import ThinningFigure
from overtop.estimators.transductive import merge_groups
from overtop.evaluation.learned import LEARNED, learned_uncertainty
from overtop.evaluation.rounding import round_floats
from overtop.evaluation.selection import select_rows
from overtop.evaluation.thinning import check_size, thin_queries
from overtop.pipeline.job import Job, run
from overtop.retrieval.ranking import read_ranking
from overtop.retrieval.similarities import mean_similarities
from overtop.retrieval.temperature import load_temperatures
from overtop.seeds import derive_seed
from overtop.storage.shards import open_posterior
from overtop.storage.tables import read_table, write_table


def main(job: Job) -> None:
    """Thin the queries of one posterior in both directions."""
    spec = ThinningFigure.model_validate(job.params.spec)
    rankings, _ = read_ranking(job.input.ranking)
    temperatures = load_temperatures(job.params.temperature, job.input.temperatures)
    similarity = read_similarity(job)
    tables = []
    for direction, ranking in rankings.items():
        scores, labelled = (read_scores(path, direction) for path in (job.input.scores, job.input.labelled))
        by_estimator = dict(list(scores.groupby("estimator", sort=False)))
        uncertainties = {
            name: by_estimator[name]["uncertainty"].to_numpy() for name in spec.estimators if name in by_estimator
        }
        if not labelled.empty:
            uncertainties[LEARNED] = learned_uncertainty(labelled, scores)
        first = next(iter(by_estimator.values()))
        matrix = similarity if direction == "t2i" else similarity.T
        table = thin_queries(
            merge_groups(matrix.loc[first["query_id"], ranking.gallery_ids].to_numpy(), ranking.item_groups),
            first["hit"].to_numpy(dtype=bool),
            uncertainties,
            spec.sizes,
            spec.draws,
            temperatures[direction].softmax,
            derive_seed(job.params.seed, "thinning", direction),
        )
        names = {"dataset": spec.dataset, "posterior": spec.posterior, "direction": direction}
        tables.append(table.assign(**names))
    write_table(job.output[0], round_floats(pd.concat(tables, ignore_index=True)))


def read_scores(path: str | list[str], direction: str) -> pd.DataFrame:
    """The scores of one direction under the corrected protocol; empty without a path."""
    if not path:
        return pd.DataFrame()
    return select_rows(read_table(str(path)), direction=direction, protocol="corrected")


def read_similarity(job: Job) -> pd.DataFrame:
    """The mean similarity of every caption to every image, (M, N) float64, with their names."""
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        check_size(texts.n_items, images.n_items)
        similarity = mean_similarities(texts, images, "cpu").astype(np.float64)
        return pd.DataFrame(similarity, index=texts.item_ids, columns=images.item_ids)


if __name__ == "__main__":
    run(main)
