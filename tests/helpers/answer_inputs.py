"""Random posteriors on a labelled split, as files that the scripts of confidence models and answers read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from overtop.retrieval.bank import compute_normalisations
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import write_ranking
from overtop.storage.shards import ArraySource, write_shard
from overtop.storage.split import Split, write_split
from overtop.terms import DIRECTIONS, MODALITIES, Modality

DIM, CAPTIONS_PER_IMAGE = 8, 2
TEMPERATURE = {"softmax": 0.05, "dirichlet": 0.07}
ENCODER = {
    "name": "e",
    "architecture": "a",
    "checkpoint_sha256": "0123",
    "activation": "gelu",
    "preprocessing": "p",
    "versions": {"torch": "1"},
}


@dataclass(frozen=True)
class RandomSplit:
    """A random split with `n_images` images, two captions of each, and the shards of one sample in `folder`."""

    folder: Path
    n_images: int
    seed: int
    encoder: Mapping[str, Any] = field(default_factory=lambda: ENCODER)

    def __post_init__(self) -> None:
        write_split(self.manifest, self.split)
        for modality in MODALITIES:
            rows, ids = self.embeddings[modality], self.ids[modality]
            self.shards(modality)[0].parent.mkdir(parents=True, exist_ok=True)
            provenance = {
                "dataset": self.folder.name,
                "split": "val",
                "encoder": dict(self.encoder),
                "sampling": "deterministic",
                "modality": modality,
                "shard": 0,
                "shards": 1,
            }
            write_shard(self.shards(modality)[0], rows[None], ids, np.ones(len(ids), bool), provenance)

    @property
    def manifest(self) -> Path:
        return self.folder / "split.parquet"

    def shards(self, modality: Modality) -> list[Path]:
        return [self.folder / "shards" / f"{modality}-0of1.h5"]

    @property
    def ids(self) -> dict[Modality, list[str]]:
        images = [f"{self.folder.name}{i}" for i in range(self.n_images)]
        return {"image": images, "text": [f"{image}#{j}" for image in images for j in range(CAPTIONS_PER_IMAGE)]}

    @property
    def image_of_caption(self) -> np.ndarray:
        return np.repeat(np.arange(self.n_images), CAPTIONS_PER_IMAGE)

    @property
    def embeddings(self) -> dict[Modality, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        images = rng.normal(size=(self.n_images, DIM)).astype(np.float32)
        noise = rng.normal(size=(self.n_images * CAPTIONS_PER_IMAGE, DIM))
        return {"image": images, "text": (images[self.image_of_caption] + 0.5 * noise).astype(np.float32)}

    @property
    def split(self) -> Split:
        captions = self.ids["text"]
        return Split(
            self.ids["image"], [""] * self.n_images, captions, ["words"] * len(captions), self.image_of_caption
        )

    def source(self, modality: Modality) -> ArraySource:
        return ArraySource([self.embeddings[modality]], self.ids[modality])


def write_results(split: RandomSplit, bank: RandomSplit | None) -> dict[str, Path]:
    """Rank a split, and return the files by the name of the input of `calibrate`."""
    images, texts = split.source("image"), split.source("text")
    temperatures = dict.fromkeys(DIRECTIONS, TEMPERATURE["softmax"])
    normalisations = None
    if bank is not None:
        normalisations = compute_normalisations(images, texts, bank.source("image"), bank.source("text"), temperatures)
    rankings = rank(
        images, texts, 10, temperatures=TEMPERATURE.values(), normalisations=normalisations,
        groups={"i2t": split.image_of_caption}, device="cpu",
    )  # fmt: skip
    files = {"ranking": split.folder / "ranking.h5", "split": split.manifest}
    write_ranking(files["ranking"], rankings, {})
    return files
