"""Raw files that were purged or damaged after everything was made from them."""

import shutil
from collections import Counter

import pytest

from helpers.pipeline import TINY_CONFIG, Project

pytestmark = pytest.mark.slow

RAW = "data/raw/**/*.png"
MADE = ("data/sources/**/*.json", "data/splits/**/*.parquet", "data/encoders/*", "results/**/*.h5", "results/tables/*")
MEMBER = "encoders={tiny-2: {architecture: shapes-vit, train: {dataset: shapes, seed: 2, epochs: 1, batch_size: 32}}}"
POSTERIOR = "posteriors={tiny-2: {kind: deterministic, encoder: tiny-2}}"
TARGET = "results/rankings/shapes/test/tiny-2.h5"
NEW = (TARGET, *TINY_CONFIG, "--config", MEMBER, POSTERIOR)


def test_purged_raw_files_come_again_for_a_new_member_alone(tiny, copy_of):
    project = Project(copy_of(tiny).root, forks_jobs=True)
    raw, made = project.read_files(RAW), project.read_files(*MADE)
    shutil.rmtree(project.root / "data/raw")
    assert project.planned_jobs(*TINY_CONFIG) == Counter(), "nothing is made again because of raw files"
    assert project.planned_jobs(*NEW) == Counter({"train": 1, "embed": 2, "rank": 1})
    project.run(*NEW)
    assert project.read_files(RAW) == raw
    assert {path: content for path, content in project.read_files(*MADE).items() if path in made} == made
    assert project.planned_jobs(*TINY_CONFIG) == Counter()


def test_damaged_raw_file_is_replaced_before_it_is_read(tiny, copy_of):
    project = Project(copy_of(tiny).root, forks_jobs=True)
    embedded = project.read_files("results/embeddings/**/*.h5")
    image = sorted((project.root / "data/raw/shapes/test").glob("*.png"))[0]
    content = image.read_bytes()
    image.write_bytes(content[:-20] + bytes(byte ^ 1 for byte in content[-20:]))
    shard = next((project.root / "results/embeddings/shapes/test").rglob("image-0of2.h5"))
    shard.unlink()
    project.run(str(shard.relative_to(project.root)), *TINY_CONFIG)
    assert image.read_bytes() == content
    assert project.read_files("results/embeddings/**/*.h5") == embedded


def test_prefetch_restores_raw_files(tiny, copy_of):
    project = Project(copy_of(tiny).root, forks_jobs=True)
    raw = project.read_files(RAW)
    prefetch = ("--force", "data/prefetch/tiny.json", *TINY_CONFIG)
    project.run(*prefetch)
    shutil.rmtree(project.root / "data/raw")
    assert project.planned_jobs(*prefetch) == Counter({"prefetch": 1})
    project.run(*prefetch)
    assert project.read_files(RAW) == raw
