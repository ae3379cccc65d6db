"""Train the probabilistic adapters of one encoder under both protocols.

Reads: the training and validation splits, and the encoder's shards of both.
Writes: data/adapters/{adapter}.safetensors.
"""

from collections.abc import Sequence
from pathlib import Path

from overtop.adapters.pairs import Pairs, build_pairs
from overtop.adapters.storage import write_adapters
from overtop.adapters.training import train_bundle
from overtop.config.adapters import AdapterSpec
from overtop.pipeline.job import Job, run
from overtop.progress import progress_bar
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split


def main(job: Job) -> None:
    """Train one adapter of config.yaml."""
    name, spec, files = job.wildcards.adapter, AdapterSpec.model_validate(job.params.adapter), job.input
    train = read_pairs(files.train, files.train_image, files.train_text)
    val = read_pairs(files.val, files.val_image, files.val_text)
    with progress_bar(f"adapt {name}", "epoch") as progress:
        bundle = train_bundle(name, spec, train, val, job.params.seed, progress=progress)
    write_adapters(job.output[0], bundle)


def read_pairs(split: str, image: Sequence[str | Path], text: Sequence[str | Path]) -> Pairs:
    """The pairs of one split with the embeddings of one encoder.

    Args:
        split: the manifest of the split.
        image: shards of its images.
        text: shards of its captions.
    """
    with open_posterior(image, text) as (images, texts):
        return build_pairs(read_split(split), images, texts, images.provenance[0]["encoder"])


if __name__ == "__main__":
    run(main)
