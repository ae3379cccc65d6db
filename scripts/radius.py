"""Compute how far the query embeddings of one posterior may move before their top-1 items change.

Reads: the shards and the ranking of the posterior.
Computes: the exact distance of every query under both protocols, its linear and its PGD distance under `published`.
Writes: results/radii/{dataset}/{split}/{posterior}.h5.
"""

from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.radius.compute import compute_radii
from overtop.radius.radii import write_radii
from overtop.retrieval.ranking import read_ranking
from overtop.storage.shards import open_posterior


def main(job: Job) -> None:
    """Compute the radii of one posterior on one split."""
    rankings, provenance = read_ranking(job.input.ranking)
    with (
        open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts),
        progress_bar("radius", "space") as progress,
    ):
        radii = compute_radii(
            images,
            texts,
            rankings,
            step=job.params.step,
            iterations=job.params.iterations,
            # An approximate index may miss rivals, so certify only among the items it found.
            scan_gallery=job.params.search != "hnsw",
            progress=progress,
        )
    write_radii(job.output[0], radii, provenance)


if __name__ == "__main__":
    run(main)
