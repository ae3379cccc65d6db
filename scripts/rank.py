"""Rank images for every caption and captions for every image: the one heavy pass.

Reads: the shards of a posterior. Writes: results/rankings/{dataset}/{split}/{posterior}.h5, enough for every estimator.
"""

from tqdm import tqdm

from overtop.job import Job, run
from overtop.ranking import rank, write_ranking
from overtop.store import ShardSource, open_posterior


def main(job: Job) -> None:
    """Rank one posterior on one split."""
    with open_posterior(job.input.image, job.input.text) as (images, texts):
        with tqdm(total=texts.n_items, desc="rank", unit="caption", disable=None) as bar:

            def show(done: int, _: int) -> None:
                bar.update(done - bar.n)

            rankings = rank(images, texts, job.params.top, progress=show)
        write_ranking(job.output[0], rankings, provenance(images, texts))


def provenance(images: ShardSource, texts: ShardSource) -> dict[str, object]:
    """What a table says of the embeddings behind its rows."""
    return {
        "encoders": [facts["encoder"] for facts in texts.provenance],
        "sampling": texts.provenance[0]["sampling"],
        "n_skipped": len(images.skipped) + len(texts.skipped),
        "skipped": images.skipped + texts.skipped,
        "n_truncated": max(facts["truncated_captions"] for facts in texts.provenance),
    }


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
