"""Choose operating points on one split and see what they do on another.

Reads: the splits, rankings and scores of a posterior on validation and on test.
Writes: one table of thresholds with a guaranteed precision and of conformal sets, a row per direction x estimator x
protocol x positives x form x target.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from overtop.evaluation.conformal import Candidates, conformal_sets
from overtop.evaluation.metrics import HITS
from overtop.evaluation.operating import independent, operating_points
from overtop.pipeline.job import Job, run
from overtop.retrieval.ranking import Ranking, read_ranking
from overtop.retrieval.relevance import positives
from overtop.seeds import derive_seed
from overtop.storage.files import write_table
from overtop.storage.split import Split, read_split
from overtop.terms import DIRECTIONS, Direction


def main(job: Job) -> None:
    """Operating points of one posterior on one data set."""
    validation, test = (read_side(job, side) for side in ("val", "test"))
    tables = [operating_points(validation.scores, test.scores, job.params.precisions, job.params.confidence)]
    for direction in DIRECTIONS:
        for kind in HITS:
            if kind == "extended" and (validation.split.extended is None or test.split.extended is None):
                continue
            known, new = (side.candidates(direction, kind == "extended") for side in (validation, test))
            sets = conformal_sets(known, new, job.params.precisions, job.params.confidence)
            tables.append(sets.assign(direction=direction, positives=kind))
    names = {"dataset": job.wildcards.dataset, "posterior": job.wildcards.posterior}
    write_table(job.output[0], pd.concat(tables, ignore_index=True).assign(**names))


@dataclass(frozen=True)
class Side:
    """What is known of one split; scores of one query per image."""

    split: Split
    rankings: dict[Direction, Ranking]
    scores: pd.DataFrame

    def candidates(self, direction: Direction, extended: bool) -> Candidates:
        """What the ranking keeps of the queries that were scored."""
        ranking = self.rankings[direction]
        queries = self.scores.loc[self.scores["direction"] == direction, "query_id"].unique()
        rows = np.flatnonzero(np.isin(np.asarray(ranking.query_ids), queries))
        known = positives(self.split, direction, ranking, extended)
        return Candidates(ranking.top_ids[rows], ranking.top_scores[rows], known[rows])


def read_side(job: Job, side: str) -> Side:
    """The inputs whose names begin with `side`."""
    scores = pd.read_parquet(getattr(job.input, f"{side}_scores"))
    return Side(
        read_split(getattr(job.input, f"{side}_split")),
        read_ranking(getattr(job.input, f"{side}_ranking"))[0],
        independent(scores, derive_seed(job.params.seed, "operate", side)),
    )


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
