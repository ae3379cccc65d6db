"""How widely trained adapters spread the embedding of each query.

Reads: the adapters and the shards of a posterior. Writes: results/spread/{dataset}/{split}/{posterior}.h5.
"""

from overtop.adapters.spread import write_spread
from overtop.adapters.storage import read_adapters
from overtop.adapters.uncertainty import spread_of
from overtop.pipeline.job import Job, run
from overtop.storage.shards import open_posterior


def main(job: Job) -> None:
    """The spread of one posterior on one split."""
    adapters = read_adapters(job.input.adapter)
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        spreads = spread_of(adapters, images, texts, [facts["encoder"] for facts in images.provenance])
    write_spread(
        job.output[0],
        spreads,
        {"adapter": adapters.name, "spec": adapters.spec.model_dump(mode="json"), "encoder": adapters.encoder},
    )


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
