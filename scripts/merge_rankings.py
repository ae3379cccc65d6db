"""Merge the slices of the gallery of one posterior into its rankings.

Reads: the slices, and what `rank` reads.
Computes: what `rank` computes: the slices are merged in their order, and every bit of the result is the same.
Writes: results/rankings/{dataset}/{split}/{posterior}.h5, the input of every estimator.
"""

from overtop.pipeline.job import Job, run
from overtop.retrieval.provenance import ranking_provenance
from overtop.retrieval.ranking import Ranking, write_ranking
from overtop.retrieval.slices import read_slices
from overtop.retrieval.split_passes import split_passes
from overtop.retrieval.temperature import load_temperatures, temperatures_to_sum
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split
from overtop.terms import Direction


def main(job: Job) -> None:
    """Merge the slices of one posterior on one split."""
    split = read_split(job.input.split)
    temperatures = temperatures_to_sum(load_temperatures(job.params.temperature, job.input.temperatures))
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        attributes = ranking_provenance(images, texts, job.input.bank)
        rankings: dict[Direction, Ranking] = {}
        for ranking_pass in split_passes(split, images, texts, job.params.top, temperatures, job.input.bank):
            rankings |= ranking_pass.merge(read_slices(job.input.slices, ranking_pass, attributes))
        write_ranking(job.output[0], rankings, attributes)


if __name__ == "__main__":
    run(main)
