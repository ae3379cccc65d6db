"""How far each query may move before its top-1 changes.

Reads: the shards and the ranking of a posterior. Writes: results/radii/{dataset}/{split}/{posterior}.h5.
"""

from tqdm import tqdm

from overtop.pipeline.job import Job, run
from overtop.radius.compute import radii
from overtop.radius.radii import write_radii
from overtop.retrieval.ranking import read_ranking
from overtop.storage.shards import open_posterior


def main(job: Job) -> None:
    """Radii of one posterior on one split."""
    rankings, provenance = read_ranking(job.input.ranking)
    with (
        open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts),
        tqdm(desc="radius", unit="space", disable=None) as bar,
    ):

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = radii(
            images,
            texts,
            rankings,
            step=job.params.step,
            iterations=job.params.iterations,
            beyond=job.params.search != "hnsw",  # what a graph missed nobody knows
            progress=show,
        )
    write_radii(job.output[0], found, provenance)


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
