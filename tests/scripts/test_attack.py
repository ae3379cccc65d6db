"""The script `attack`: files of attacked images, and of the worst case over attacks."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from helpers.encoder_inputs import SHAPES_SPEC, generate_split
from helpers.scripts import load_script
from overtop.config.attacks import GradientAttack, WorstCaseAttack
from overtop.config.datasets import ShapesDataset
from overtop.datasets.source_records import FetchRequest, write_source_record
from overtop.encoders.embedding import ShardKey, embed_shard
from overtop.encoders.loading import build_model, load_encoder
from overtop.encoders.sampling import Sampling
from overtop.storage.shards import open_posterior, read_provenance, write_shard
from overtop.storage.split import write_split
from overtop.training.checkpoint import save_checkpoint

SAMPLINGS = ("deterministic", "dropout-0.3x2")
ATTACKS = {
    "pgd": GradientAttack(kind="pgd", epsilon=8, steps=3, step=4),
    "cw": GradientAttack(kind="cw", epsilon=8, steps=3, step=4, early_stop=True),
}


class Inputs(SimpleNamespace):
    """Input files that can be read by name, and missing ones as None."""

    def get(self, name: str) -> Any:
        return getattr(self, name, None)


class Run:
    """A folder with an encoder, a split and its clean embeddings, in which jobs of the script run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        torch.manual_seed(0)
        save_checkpoint(build_model("tiny", SHAPES_SPEC, None), root / "tiny.safetensors")
        spec = ShapesDataset(kind="shapes", images={"test": 12})
        split = generate_split(spec, "test", root / "data")
        request = FetchRequest(dataset="shapes", split="test", spec=spec, sources={}, seed=0)
        write_source_record(root / "source.json", request, request.raw_folder(root / "data"))
        write_split(root / "split.parquet", split)
        encoder = load_encoder("tiny", SHAPES_SPEC, root / "tiny.safetensors")
        for modality, name in [("text", SAMPLINGS[0]), *(("image", name) for name in SAMPLINGS)]:
            sampling, key = Sampling.parse(name), ShardKey(modality, 0, 1)
            batch, ids = embed_shard(encoder, split, key, sampling, 0, 5, data=root / "data")
            provenance = {"encoder": encoder.identity, "sampling": name, "shard": 0, "shards": 1}
            provenance["dropped"] = batch.dropout
            write_shard(
                self.path("clean" if modality == "image" else "text", name),
                batch.embedding,
                ids,
                batch.valid,
                provenance,
            )

    def path(self, view: str, sampling: str = SAMPLINGS[0]) -> Path:
        (self.root / view).mkdir(exist_ok=True)
        return self.root / view / f"{sampling}.h5"

    def attack(self, name: str, sampling: str = SAMPLINGS[0]) -> Path:
        """Run the job of one attack, and return its file."""
        files = {"split": self.root / "split.parquet", "text": [self.path("text")]}
        spec = ATTACKS.get(name) or WorstCaseAttack(kind="worst", of=list(ATTACKS))
        if isinstance(spec, WorstCaseAttack):
            views = ("clean", *ATTACKS)
            files |= {"judged": [self.path(view) for view in views]}
            files |= {"sampled": [self.path(view, sampling) for view in views]}
        else:
            files |= {"checkpoint": self.root / "tiny.safetensors", "source": self.root / "source.json"}
        params = SimpleNamespace(
            attack=spec.model_dump(), encoder=SHAPES_SPEC.model_dump(), batch_size=5, many_samples_dtype="float32",
            on_error="fail", data=self.root / "data", seed=0,
        )  # fmt: skip
        names = {"dataset": "shapes", "split": "test", "encoder": "tiny", "attack": name, "sampling": sampling}
        job = SimpleNamespace(
            input=Inputs(**files), output=[self.path(name, sampling)], params=params, threads=1, config={},
            wildcards=SimpleNamespace(**names, shard="0", shards="1"),
        )  # fmt: skip
        load_script("attack").main(job)
        return self.path(name, sampling)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = Run(tmp_path_factory.mktemp("attack"))
    for sampling in SAMPLINGS:
        for name in (*ATTACKS, "aa"):
            made.attack(name, sampling)
    return made


def read(attacked: Run, view: str, sampling: str = SAMPLINGS[0]) -> np.ndarray:
    """All samples (S, n, D), read as the rule `rank` does: with the captions of the same encoder."""
    texts = attacked.path("text") if sampling == SAMPLINGS[0] else attacked.path(view, sampling)
    with open_posterior([attacked.path(view, sampling)], [texts]) as (images, _):
        return np.stack([images.read(sample, 0, images.n_items) for sample in range(images.n_samples)])


def test_file_names_its_attack_and_what_it_did(attacked):
    provenance = read_provenance(attacked.path("pgd"))
    assert provenance["view"] == "pgd"
    specification = {
        "name": "pgd", "kind": "pgd", "epsilon": 8.0, "steps": 3, "step": 4.0, "restarts": 1, "early_stop": False,
        "seed": 0, "norm": "linf", "start": "uniform", "answers": 12, "result": "last", "precision": "fp32",
        "image_size": [48, 48],
    }  # fmt: skip
    assert provenance["attack"] == specification
    outcome = provenance["outcome"]
    assert set(outcome) == {
        "images", "wrong_clean", "wrong_attacked", "max_perturbation", "pixel_min", "pixel_max"
    }  # fmt: skip
    assert outcome["images"] == 12
    assert outcome["wrong_attacked"] > outcome["wrong_clean"]


def test_repeated_job_writes_the_same_bytes(attacked):
    for name in (*ATTACKS, "aa"):
        for sampling in SAMPLINGS:
            before = attacked.path(name, sampling).read_bytes()
            assert attacked.attack(name, sampling).read_bytes() == before


def test_worst_case_has_the_specification_of_its_attacks_and_the_embeddings_of_one_of_the_views(attacked):
    provenance = read_provenance(attacked.path("aa"))
    parts = [read_provenance(attacked.path(name)) for name in ATTACKS]
    assert provenance["attack"] == {"name": "aa", "kind": "worst", "of": [part["attack"] for part in parts]}
    wrong = [part["outcome"]["wrong_attacked"] for part in parts]
    assert provenance["outcome"]["wrong_attacked"] >= max(wrong)
    assert provenance["outcome"]["wrong_clean"] == parts[0]["outcome"]["wrong_clean"]
    chosen = {sampling: [] for sampling in SAMPLINGS}
    for sampling in SAMPLINGS:
        worst, *views = (read(attacked, view, sampling) for view in ("aa", "clean", *ATTACKS))
        for image in range(worst.shape[1]):
            same = [number for number, view in enumerate(views) if np.array_equal(view[:, image], worst[:, image])]
            assert same
            chosen[sampling].append(same)
    deterministic, sampled = chosen.values()
    # An image that one attack left as it is has the same embedding in several views.
    assert all(set(a) & set(b) for a, b in zip(deterministic, sampled, strict=True))
    assert len({same[0] for same in deterministic}) > 1
