"""Train the probabilistic adapters of one encoder, under both protocols.

Reads: the splits to learn from and to choose the epoch by, and the encoder's shards of both.
Writes: data/adapters/{adapter}.safetensors.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from overtop.adapters.pairs import Pairs, pairs_of
from overtop.adapters.storage import Adapters, write_adapters
from overtop.adapters.training import train_adapters
from overtop.config.adapters import AdapterSpec
from overtop.pipeline.job import Job, run
from overtop.storage.shards import open_posterior
from overtop.storage.split import read_split
from overtop.terms import PROTOCOLS


def main(job: Job) -> None:
    """Train one pair of adapters twice."""
    name, spec, seed = job.wildcards.adapter, AdapterSpec.model_validate(job.params.adapter), job.params.seed
    files = job.input
    learned, encoder = read_pairs(files.train, files.train_image, files.train_text)
    held_out, other = read_pairs(files.val, files.val_image, files.val_text)
    adapters = Adapters(name, spec, learned.image.shape[1], encoder, seed, fitted={})
    adapters.check([held_out.image.shape[1]], [other])
    fitted = {protocol: train_adapters(name, spec, learned, held_out, protocol, seed) for protocol in PROTOCOLS}
    write_adapters(job.output[0], replace(adapters, fitted=fitted))


def read_pairs(split: str, image: Sequence[str | Path], text: Sequence[str | Path]) -> tuple[Pairs, dict[str, Any]]:
    """The pairs of one split, and the facts about the encoder of their embeddings."""
    with open_posterior(image, text) as (images, texts):
        return pairs_of(read_split(split), images, texts), images.provenance[0]["encoder"]


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
