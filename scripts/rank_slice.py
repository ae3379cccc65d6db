"""Accumulate the rankings of one posterior over one slice of its images.

Reads: the split, the shards of the posterior, the offsets of its bank if there is one, and the fitted temperatures if
the configuration uses them.
Computes: for every caption what the images of the slice contribute to its ranking; for every image of the slice the
whole ranking of the captions.
Writes: results/rankings/{dataset}/{split}/{posterior}/slice-{slice}of{slices}.h5, which `merge_rankings` reads.
"""

from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.retrieval.provenance import ranking_provenance
from overtop.retrieval.slices import write_slice
from overtop.retrieval.split_passes import split_passes
from overtop.retrieval.temperature import load_temperatures, temperatures_to_sum
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split


def main(job: Job) -> None:
    """Rank one slice of the gallery of a posterior on one split."""
    split = read_split(job.input.split)
    number, slices = int(job.wildcards.slice), int(job.wildcards.slices)
    temperatures = temperatures_to_sum(load_temperatures(job.params.temperature, job.input.temperatures))
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        passes = split_passes(split, images, texts, job.params.top, temperatures, job.input.bank)
        attributes = ranking_provenance(images, texts, job.input.bank)
        with progress_bar("rank", "caption") as progress:
            write_slice(job.output[0], passes, number, slices, attributes, progress)


if __name__ == "__main__":
    run(main)
