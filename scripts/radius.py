"""Compute how far the query embeddings of one posterior may move before their top-1 items change.

Reads: the split, and the shards and the ranking of the posterior.
Computes: the exact distance of every query under both protocols, its linear and its PGD distance under `published`.
Writes: results/radii/{dataset}/{split}/{posterior}.h5.
"""

from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.radius.compute import compute_radii
from overtop.radius.radii import Radii, write_radii
from overtop.retrieval.galleries import split_retrievals
from overtop.retrieval.ranking import read_ranking
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split
from overtop.terms import Direction


def main(job: Job) -> None:
    """Compute the radii of one posterior on one split."""
    rankings, provenance = read_ranking(job.input.ranking)
    radii: dict[Direction, Radii] = {}
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        for retrieval in split_retrievals(read_split(job.input.split), images, texts):
            with progress_bar("radius", "space") as progress:
                radii |= compute_radii(
                    retrieval.images,
                    retrieval.texts,
                    {direction: rankings[direction] for direction in retrieval.directions},
                    step=job.params.step,
                    iterations=job.params.iterations,
                    # An approximate index may miss rivals, so certify only among the items it found.
                    scan_gallery=job.params.search != "hnsw",
                    progress=progress,
                )
    write_radii(job.output[0], radii, provenance)


if __name__ == "__main__":
    run(main)
