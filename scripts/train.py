"""Train an encoder on a data set's train split.

Reads: the train and val splits and their images. Writes: data/encoders/{encoder}.safetensors.
"""

from pathlib import Path

from overtop.datasets.manifest import read_split
from overtop.device import default_device
from overtop.encoders.spec import EncoderSpec
from overtop.encoders.training import train_encoder
from overtop.job import Job, run


def main(job: Job) -> None:
    """Train one encoder."""
    train_encoder(
        job.wildcards.encoder,
        EncoderSpec.model_validate(job.params.encoder),
        read_split(job.input.train),
        read_split(job.input.val),
        Path(job.input.train).parents[2],
        job.output[0],
        job.params.seed,
        default_device(),
    )


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
