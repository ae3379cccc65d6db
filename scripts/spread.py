"""Predict the variance of each query's embedding with trained adapters.

Reads: the adapters, and the shards of a posterior.
Writes: results/spread/{dataset}/{split}/{posterior}.h5.
"""

from overtop.adapters.spread import write_spread
from overtop.adapters.storage import read_adapters
from overtop.adapters.variance import predict_spreads
from overtop.pipeline.job import Job, run
from overtop.storage.shards import open_posterior


def main(job: Job) -> None:
    """Predict the spread of one posterior on one split."""
    bundle = read_adapters(job.input.adapter)
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        spreads = predict_spreads(bundle, images, texts, [shards["encoder"] for shards in images.provenance])
    provenance = {"adapter": bundle.name, "spec": bundle.spec.model_dump(mode="json"), "encoder": bundle.encoder}
    write_spread(job.output[0], spreads, provenance)


if __name__ == "__main__":
    run(main)
