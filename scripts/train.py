"""Train an encoder on a data set's train split: whole, or the heads of locked towers on their features.

Reads: the train and val splits, and their images or features. Writes: data/encoders/{encoder}.safetensors.
"""

from pathlib import Path

from overtop.config.encoders import EncoderSpec
from overtop.device import default_device
from overtop.pipeline.job import Job, run
from overtop.storage.split import read_split
from overtop.training.contrastive import train_encoder
from overtop.training.locked import train_heads


def main(job: Job) -> None:
    """Train one encoder."""
    name, spec = job.wildcards.encoder, EncoderSpec.model_validate(job.params.encoder)
    splits = read_split(job.input.train), read_split(job.input.val)
    if features := job.input.get("features"):
        train_heads(name, spec, *splits, tuple(features), job.output[0], job.params.seed)
    else:
        data = Path(job.input.train).parents[2]
        train_encoder(name, spec, *splits, data, job.output[0], job.params.seed, default_device())


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
