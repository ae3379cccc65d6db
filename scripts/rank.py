"""Rank images for every caption and captions for every image: the one heavy pass.

Reads: the shards of a posterior, and the fitted temperatures if any.
Writes: results/rankings/{dataset}/{split}/{posterior}.h5, enough for every estimator.
"""

from tqdm import tqdm

from overtop.pipeline.job import Job, run
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import Ranking, write_ranking
from overtop.retrieval.temperature import chosen, to_keep
from overtop.storage.shards import ShardSource, open_posterior
from overtop.terms import Direction

VOTES = 5  # what topk_consistency looks at


def main(job: Job) -> None:
    """Rank one posterior on one split."""
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        write_ranking(job.output[0], rankings_of(images, texts, job), provenance(images, texts))


def rankings_of(images: ShardSource, texts: ShardSource, job: Job) -> dict[Direction, Ranking]:
    """By the exact pass, or by search where the configuration asks for that."""
    if job.params.search != "stream":
        from overtop.retrieval.approximate import search

        return search(images, texts, job.params.top, VOTES, job.params.search)
    temperatures = to_keep(chosen(job.params.temperature, job.input.temperatures))
    with tqdm(total=texts.n_items, desc="rank", unit="caption", disable=None) as bar:

        def show(done: int, _: int) -> None:
            bar.update(done - bar.n)

        return rank(images, texts, job.params.top, VOTES, temperatures, progress=show)


def provenance(images: ShardSource, texts: ShardSource) -> dict[str, object]:
    """What a table says of the embeddings behind its rows."""
    return {
        # `+` marks further passes of the encoder before.
        "encoders": [facts["encoder"] for facts in texts.provenance if "+" not in facts["sampling"]],
        "sampling": [facts["sampling"] for facts in texts.provenance],
        "samples": texts.n_samples,
        "n_skipped": len(images.skipped) + len(texts.skipped),
        "skipped": images.skipped + texts.skipped,
        "n_truncated": max(facts["truncated_captions"] for facts in texts.provenance),
    }


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
