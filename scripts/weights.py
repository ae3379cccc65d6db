"""Download the weights of an encoder, on a node with network, and record which file they are.

Reads: the hub, or files that were put into data/downloads by hand.
Computes: nothing.
Writes: data/weights/{encoder}.json.
"""

from pathlib import Path

from overtop.config.encoders import EncoderSpec
from overtop.encoders.weights import fetch_weights, write_weights_record
from overtop.pipeline.job import Job, run


def main(job: Job) -> None:
    """Download the weights of one encoder."""
    spec = EncoderSpec.model_validate(job.params.encoder)
    write_weights_record(job.output[0], fetch_weights(spec, Path(job.params.data)))


if __name__ == "__main__":
    run(main)
