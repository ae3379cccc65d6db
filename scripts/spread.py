"""Predict the variance of each query's embedding with trained adapters.

Reads: the adapters, one file per protocol of the posterior, and the shards of the posterior.
Writes: results/spread/{dataset}/{split}/{posterior}.h5.
"""

from overtop.adapters.spread import write_spread
from overtop.adapters.storage import read_adapters
from overtop.adapters.variance import predict_spreads
from overtop.pipeline.job import Job, run
from overtop.storage.shards import open_posterior


def main(job: Job) -> None:
    """Predict the spread of one posterior on one split."""
    bundles = [read_adapters(path) for path in job.input.adapters]
    with open_posterior(job.input.image, job.input.text, job.params.passes) as (images, texts):
        spreads = predict_spreads(bundles, images, texts, [shards["encoder"] for shards in images.provenance])
    first = bundles[0]
    provenance = {"adapter": first.name, "spec": first.spec.model_dump(mode="json"), "encoder": first.encoder}
    write_spread(job.output[0], spreads, provenance)


if __name__ == "__main__":
    run(main)
