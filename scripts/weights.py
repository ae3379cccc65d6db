"""Download the weights of an encoder, on a node with network, and record which file they are.

Reads: the hub, or what was put into data/downloads by hand. Writes: data/weights/{encoder}.json.
"""

from pathlib import Path

from overtop.config.encoders import EncoderSpec
from overtop.encoders.weights import fetch_weights, write_weights
from overtop.pipeline.job import Job, run


def main(job: Job) -> None:
    """Fetch the weights of one encoder."""
    spec = EncoderSpec.model_validate(job.params.encoder)
    data = Path(job.output[0]).parents[1]
    write_weights(job.output[0], fetch_weights(job.wildcards.encoder, spec, data))


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
