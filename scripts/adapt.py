"""Train the probabilistic adapters of one encoder under one protocol.

Reads: the training and validation splits, and the encoder's shards of both.
Writes: data/adapters/{adapter}/{protocol}.safetensors, and until it is done data/adapters/{adapter}/.{protocol}.state,
from which a killed job continues.
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
from overtop.training.progress_state import state_path


def main(job: Job) -> None:
    """Train one adapter of config.yaml."""
    wildcards, files = job.wildcards, job.input
    spec = AdapterSpec.model_validate(job.params.adapter)
    train = read_pairs(files.train, files.train_image, files.train_text)
    val = read_pairs(files.val, files.val_image, files.val_text)
    state = state_path(job.output[0])
    with progress_bar(f"adapt {wildcards.adapter} ({wildcards.protocol})", "epoch") as progress:
        bundle = train_bundle(
            wildcards.adapter,
            spec,
            train,
            val,
            wildcards.protocol,
            job.params.seed,
            state=state,
            progress=progress,
        )
    write_adapters(job.output[0], bundle)
    state.unlink(missing_ok=True)


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
