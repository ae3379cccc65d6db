"""Rank the images for every caption and the captions for every image of one posterior.

Reads: the split, the shards of the posterior, the offsets of its bank if there is one, and the fitted temperatures if
the configuration uses them.
Computes: both directions in one pass over all similarities, or by a search index. If targets are absent, each direction
has its own gallery and its own pass.
Writes: results/rankings/{dataset}/{split}/{posterior}.h5, the input of every estimator.
"""

import sys
from typing import Any

from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.retrieval.approximate import search
from overtop.retrieval.exact import rank
from overtop.retrieval.galleries import Retrieval, split_retrievals
from overtop.retrieval.groups import declare_groups
from overtop.retrieval.normalisation import read_bank, read_normalisations
from overtop.retrieval.provenance import embedding_provenance
from overtop.retrieval.ranking import Ranking, write_ranking
from overtop.retrieval.sources import queries_and_gallery
from overtop.retrieval.temperature import load_temperatures, temperatures_to_sum
from overtop.retrieval.truncation import log_truncation
from overtop.storage.shards import open_posterior
from overtop.storage.split import Split, read_split
from overtop.terms import Direction


def main(job: Job) -> None:
    """Rank one posterior on one split."""
    split = read_split(job.input.split)
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        rankings: dict[Direction, Ranking] = {}
        for retrieval in split_retrievals(split, images, texts):
            rankings |= compute_rankings(split, retrieval, job)
        bank = {"bank": read_bank(job.input.bank)} if job.input.bank else {}
        write_ranking(job.output[0], rankings, embedding_provenance(images, texts) | bank)


def compute_rankings(split: Split, retrieval: Retrieval, job: Job) -> dict[Direction, Ranking]:
    """Rank by the exact pass, or by the configured search index."""
    images, texts, directions = retrieval.images, retrieval.texts, retrieval.directions
    galleries = {direction: queries_and_gallery(direction, images, texts)[1].item_ids for direction in directions}
    temperatures = load_temperatures(job.params.temperature, job.input.temperatures)
    contents: dict[str, Any] = {
        "temperatures": temperatures_to_sum(temperatures),
        "groups": {direction: declare_groups(split, direction, gallery) for direction, gallery in galleries.items()},
        "normalisations": read_normalisations(job.input.bank, galleries) if job.input.bank else None,
        "directions": directions,
    }
    if job.params.search == "stream":
        with progress_bar("rank", "caption") as progress:
            return rank(images, texts, job.params.top, **contents, progress=progress)
    rankings = search(images, texts, job.params.top, index=job.params.search, **contents)
    if warning := log_truncation(rankings, temperatures, job.params.top):
        print(f"overtop: {warning}", file=sys.stderr)
    return rankings


if __name__ == "__main__":
    run(main)
