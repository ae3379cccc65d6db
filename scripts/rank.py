"""Rank the images for every caption and the captions for every image of one posterior.

Reads: the split, the shards of the posterior, the offsets of its bank if there is one, and the fitted temperatures if
the configuration uses them.
Computes: both directions in one pass over all similarities, or by a search index.
Writes: results/rankings/{dataset}/{split}/{posterior}.h5, the input of every estimator.
"""

from collections.abc import Mapping

from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.retrieval.approximate import search
from overtop.retrieval.exact import rank
from overtop.retrieval.groups import declare_groups
from overtop.retrieval.normalisation import Normalisation, read_normalisations
from overtop.retrieval.provenance import embedding_provenance
from overtop.retrieval.ranking import Ranking, write_ranking
from overtop.retrieval.sources import queries_and_gallery
from overtop.retrieval.temperature import load_temperatures, temperatures_to_sum
from overtop.storage.shards import ShardSource, open_posterior
from overtop.storage.split import read_split
from overtop.terms import DIRECTIONS, Direction


def main(job: Job) -> None:
    """Rank one posterior on one split."""
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        galleries = {d: queries_and_gallery(d, images, texts)[1].item_ids for d in DIRECTIONS}
        normalisations, bank = read_normalisations(job.input.bank, galleries) if job.input.bank else (None, None)
        rankings = compute_rankings(images, texts, normalisations, job)
        provenance = embedding_provenance(images, texts)
        write_ranking(job.output[0], rankings, provenance | ({"bank": bank} if bank else {}))


def compute_rankings(
    images: ShardSource, texts: ShardSource, normalisations: Mapping[Direction, Normalisation] | None, job: Job
) -> dict[Direction, Ranking]:
    """Rank by the exact pass, or by the configured search index."""
    split = read_split(job.input.split)
    groups = {
        direction: declare_groups(split, direction, queries_and_gallery(direction, images, texts)[1].item_ids)
        for direction in DIRECTIONS
    }
    if job.params.search != "stream":
        return search(images, texts, job.params.top, index=job.params.search, groups=groups)
    temperatures = temperatures_to_sum(load_temperatures(job.params.temperature, job.input.temperatures))
    with progress_bar("rank", "caption") as progress:
        return rank(
            images,
            texts,
            job.params.top,
            temperatures=temperatures,
            groups=groups,
            normalisations=normalisations,
            progress=progress,
        )


if __name__ == "__main__":
    run(main)
