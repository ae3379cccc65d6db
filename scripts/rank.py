"""Rank the images for every caption and the captions for every image of one posterior.

Reads: the split, the shards of the posterior, the offsets of its bank if there is one, and the fitted temperatures if
the configuration uses them.
Computes: both directions in one pass over all similarities, or by a search index. If targets are absent, each direction
has its own gallery and its own pass.
Writes: results/rankings/{dataset}/{split}/{posterior}.h5, the input of every estimator.
"""

from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.retrieval.approximate import search
from overtop.retrieval.galleries import split_retrievals
from overtop.retrieval.provenance import ranking_provenance
from overtop.retrieval.ranking import Ranking, write_ranking
from overtop.retrieval.split_passes import read_declared, split_passes
from overtop.retrieval.temperature import load_temperatures, temperatures_to_sum
from overtop.retrieval.truncation import log_truncation
from overtop.storage.shards import ShardSource, open_posterior
from overtop.storage.split import Split, read_split
from overtop.terms import Direction


def main(job: Job) -> None:
    """Rank one posterior on one split."""
    split = read_split(job.input.split)
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        compute = rank_exactly if job.params.search == "stream" else search_index
        write_ranking(
            job.output[0],
            compute(split, images, texts, job),
            ranking_provenance(images, texts, job.input.bank),
        )


def rank_exactly(split: Split, images: ShardSource, texts: ShardSource, job: Job) -> dict[Direction, Ranking]:
    """Rank by the exact pass."""
    temperatures = temperatures_to_sum(load_temperatures(job.params.temperature, job.input.temperatures))
    rankings: dict[Direction, Ranking] = {}
    for ranking_pass in split_passes(split, images, texts, job.params.top, temperatures, job.input.bank):
        with progress_bar("rank", "caption") as progress:
            rankings |= ranking_pass.rank(progress)
    return rankings


def search_index(split: Split, images: ShardSource, texts: ShardSource, job: Job) -> dict[Direction, Ranking]:
    """Rank by the configured search index."""
    temperatures = load_temperatures(job.params.temperature, job.input.temperatures)
    rankings: dict[Direction, Ranking] = {}
    for retrieval in split_retrievals(split, images, texts):
        rankings |= search(
            retrieval.images,
            retrieval.texts,
            job.params.top,
            index=job.params.search,
            temperatures=temperatures_to_sum(temperatures),
            **read_declared(split, retrieval, job.input.bank),
        )
    log_truncation(rankings, temperatures, job.params.top)
    return rankings


if __name__ == "__main__":
    run(main)
