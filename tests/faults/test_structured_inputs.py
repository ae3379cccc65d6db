"""Generated inputs that are nearly right: every reader reads them, or names the mistake in one line."""

import contextlib
import csv
import io
import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from helpers.reader_inputs import tar_bytes
from overtop.config.datasets import ClassesDataset, KarpathyDataset, TableDataset
from overtop.datasets.class_coco import parse_instances
from overtop.datasets.embeddings import load_embeddings
from overtop.datasets.judgments import read_judgments
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import fetch_split, read_raw_split
from overtop.datasets.texts import read_texts
from overtop.encoders.weights import locate_weights
from overtop.errors import OvertopError
from overtop.pipeline.loading import load_config
from overtop.storage.embedding_files import open_embeddings
from overtop.storage.split import Split

CASES = pytest.mark.parametrize("cases", [50, pytest.param(2000, marks=pytest.mark.faults)])

_PATHS = ("", ".", "..", "a", "./a", "a/b", "a/", "/a", "../a", "\0", "\ud800", "é" * 130, "a" * 300)

_CELLS = (" ", "NA", "None", "test", "x,y", '"', "a|b", "|", "\n", "-1", "1.0")

WORDS = st.sampled_from((*_PATHS, *_CELLS)) | st.text(max_size=6)

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)


def count_cases(strategy: st.SearchStrategy, read: Callable[[Any], Any], cases: int) -> int:
    """Read generated inputs; return their number. An error other than an `OvertopError` of one line fails the test."""
    tries = 0

    @settings(
        max_examples=cases,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(value: Any) -> None:
        nonlocal tries
        tries += 1
        attempt(lambda: read(value))

    run()
    return tries


def attempt(read: Callable[[], Any]) -> None:
    """Read one input; an `OvertopError` must have one line, and no other error may occur."""
    message = ""
    try:
        read()
    except OvertopError as error:
        message = str(error)
    assert "\n" not in message, message


def one_of_or(value: Any) -> st.SearchStrategy:
    """The right value mostly, so that mistakes do not all meet in one input."""
    return st.one_of(st.just(value), st.just(value), st.just(value), VALUES)


def objects(**fields: Any) -> st.SearchStrategy:
    """Objects with the right keys and nearly right values, of which each key may be missing."""
    entries = {
        key: value if isinstance(value, st.SearchStrategy) else one_of_or(value) for key, value in fields.items()
    }
    return st.one_of(st.fixed_dictionaries(entries), st.fixed_dictionaries({}, optional=entries))


def fetch_and_read(folder: Path, spec: Any) -> Split:
    """Fetch and read the split `test` from a folder."""
    raw = folder.parent / "data" / "raw" / "x" / "test"
    fetch_split("x", spec, "test", raw, FetchContext(str(folder), 0, folder.parent / "data", {}))
    return read_raw_split("x", spec, raw, folder.parent / "data", "test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source with the image `a`, also in a folder."""
    for name in ("mirror/images/a", "mirror/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"jpeg")
    return tmp_path / "mirror"


@CASES
def test_annotations_are_read_or_named(folder, record_fault, cases):
    sentence = objects(raw="a dog", sentid=1)
    lines = objects(filename=WORDS, captions=one_of_or(["a dog"]), split="test", image_id=1, caption_ids=one_of_or([1]))
    karpathy = objects(filename=WORDS, filepath=WORDS, sentences=st.lists(sentence, max_size=2), split="test", cocoid=1)
    spec = KarpathyDataset(kind="karpathy", source=".", annotations="d.json", images="images", captions_per_image="all")

    def read(entries: Any) -> None:
        (folder / "d.json").write_text(json.dumps({"images": entries}))
        fetch_and_read(folder, spec)

    entries = one_of_or([{"filename": "a", "captions": ["x"]}]) | st.lists(lines | karpathy, max_size=3)
    tries = count_cases(entries, read, cases)
    record_fault("generated input, annotations", tries, tries)


@CASES
def test_coco_instances_are_read_or_named(record_fault, cases):
    instances = objects(
        categories=st.lists(objects(id=1, name="dog"), max_size=3),
        images=st.lists(objects(id=1, file_name="a.jpg"), max_size=2),
        annotations=st.lists(objects(image_id=1, category_id=1), max_size=3),
    )
    tries = count_cases(instances, lambda value: parse_instances("i.json", json.dumps(value).encode()), cases)
    record_fault("generated input, COCO instances", tries, tries)


@CASES
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_are_read_or_named(folder, record_fault, kind, cases):
    columns = st.lists(
        st.sampled_from(["image", "caption", "split", "caption_id", "positives", "class", "text", "id"]), max_size=5
    )
    cells = st.one_of(WORDS, st.sampled_from(["a", "test", "a dog"]))
    typed = st.lists(
        st.one_of(cells, st.none()) if kind == "csv" else VALUES | st.binary(max_size=3), min_size=2, max_size=2
    )
    table = columns.flatmap(
        lambda names: st.tuples(st.just(names), st.lists(typed, min_size=len(names), max_size=len(names)))
    )
    specs = [
        TableDataset(kind="table", source=".", table=f"t.{kind}"),
        ClassesDataset(kind="classes", files={"layout": "table", "source": ".", "table": f"t.{kind}"}),
    ]

    def read(value: tuple[list[str], list[list[Any]]]) -> None:
        path = folder / f"t.{kind}"
        if not write_table(path, *value):
            return
        for spec in specs:
            attempt(partial(fetch_and_read, folder, spec))
        read_texts(path)

    tries = count_cases(table, read, cases)
    record_fault(f"generated input, tables ({kind})", tries, tries)


def write_table(path: Path, names: list[str], columns: list[list[Any]]) -> bool:
    """Write a table; return whether its format can hold the values."""
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
            writer = csv.writer(file)
            writer.writerows([names, *zip(*columns, strict=True)])
        return True
    try:
        pq.write_table(pa.Table.from_arrays([pa.array(column) for column in columns], names=names), path)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return False
    return True


def test_csv_is_read_as_its_standard_says(folder, record_fault):
    """The words of any table survive: nothing is taken for missing, cut or converted."""
    words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8)
    words = words.filter(lambda text: text.strip() and "\r" not in text)

    def read(texts: list[str]) -> None:
        frame = pd.DataFrame({"id": range(len(texts)), "text": texts})
        frame.to_csv(folder / "q.csv", index=False, quoting=csv.QUOTE_ALL)
        frame.to_parquet(folder / "q.parquet")
        for name in ("q.csv", "q.parquet"):
            assert read_texts(folder / name) == ([str(row) for row in range(len(texts))], texts)

    strategy = st.lists(st.sampled_from(["NA", "nan", "None", "null", "1.0", "007", "true"]) | words, min_size=1)
    tries = count_cases(strategy, read, 100)
    record_fault("generated input, words of tables", tries, tries)


@CASES
def test_arrays_are_read_or_named(tmp_path, record_fault, cases):
    shapes = st.sampled_from([(2, 3), (1, 2, 3), (2,), (), (0, 3), (2, 0), (3, 3)])
    kinds = st.sampled_from(["f4", "f8", "f2", "i8", "c8", "M8[s]", "m8[s]", "U3", "S3", "?", "O", "u1", "V4", "g"])
    values = st.tuples(shapes, kinds).flatmap(lambda pair: any_array(*pair))
    names = st.sampled_from(["image", "text", "image_of_caption", "filenames", "captions", "other"])

    def read(content: dict[str, np.ndarray]) -> None:
        np.savez(tmp_path / "e.npz", **content)
        for run in (lambda: load_embeddings(tmp_path), lambda: open_embeddings(tmp_path / "e.npz", modality="image")):
            attempt(run)

    right = {"image": np.ones((2, 3)), "text": np.ones((2, 3))}
    strategy = st.dictionaries(names, values, max_size=4).map(lambda content: {**right, **content})
    tries = count_cases(strategy, read, cases)
    record_fault("generated input, arrays", tries, tries)


def any_array(shape: tuple[int, ...], kind: str) -> st.SearchStrategy:
    """Arrays of a shape and a type; of integers also rows of other arrays."""
    if kind in ("O", "V4", "g"):
        return st.just(np.zeros(shape, kind))
    if kind == "i8":
        return arrays.arrays("i8", shape, elements=st.integers(-2, 3))
    return arrays.arrays(np.dtype(kind), shape)


@CASES
def test_names_in_archives_are_written_inside_or_named(folder, record_fault, cases):
    names = st.builds(
        "{}{}{}".format, st.sampled_from(["", "test/", "test/dog/"]), WORDS, st.sampled_from(["", ".jpg", ".JPG"])
    )
    specs = {
        suffix: ClassesDataset(
            kind="classes", files={"layout": "folders", "source": f"set.{suffix}", "splits": {"test": "test"}}
        )
        for suffix in ("zip", "tar")
    }
    before = sorted(folder.rglob("*"))

    def read(members: list[str]) -> None:
        for suffix, spec in specs.items():
            content = write_archive(suffix, members)
            if content is None:
                continue
            (folder / f"set.{suffix}").write_bytes(content)
            attempt(partial(fetch_and_read, folder, spec))
            (folder / f"set.{suffix}").unlink()

    tries = count_cases(st.lists(names, min_size=1, max_size=4), read, cases)
    assert sorted(folder.rglob("*")) == before
    assert {path.name for path in folder.parent.iterdir()} <= {"mirror", "data"}
    record_fault("generated input, names in archives", tries, tries)


def write_archive(suffix: str, members: list[str]) -> bytes | None:
    """Return an archive of members with these names; None if the format has no such names."""
    try:
        if suffix == "tar":
            return tar_bytes({name: b"jpeg" for name in members})
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name in members:
                archive.writestr(zipfile.ZipInfo(name), b"jpeg")
        return content.getvalue()
    except (ValueError, UnicodeError):
        return None


@CASES
def test_judgments_are_read_or_named(tmp_path, record_fault, cases):
    split = Split(["a"], [""], ["a#0"], ["x"], np.array([0]))
    fields = st.lists(WORDS | st.sampled_from(["a", "a#0", "1", "4", "0.5", "9" * 400]), max_size=6)

    def read(lines: list[list[str]]) -> None:
        text = "\n".join("\t".join(line) for line in lines)
        (tmp_path / "r.txt").write_text(text, encoding="utf-8", errors="surrogatepass")
        for source in ("expert", "crowd"):
            attempt(partial(read_judgments, {source: tmp_path / "r.txt"}, split))

    tries = count_cases(st.lists(fields, max_size=3), read, cases)
    record_fault("generated input, judgments", tries, tries)


@CASES
def test_preprocessing_is_read_or_named(tmp_path, record_fault, cases):
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"weights")
    options = objects(
        size=224, mode="RGB", mean=one_of_or([0.5] * 3), std=one_of_or([0.5] * 3), interpolation="bicubic", fill_color=0
    )

    def read(value: Any) -> None:
        (tmp_path / "open_clip_config.json").write_text(json.dumps({"preprocess_cfg": value}))
        locate_weights("x", tmp_path, tmp_path)

    tries = count_cases(options | VALUES, read, cases)
    record_fault("generated input, preprocessing", tries, tries)


@CASES
def test_configurations_are_read_or_named(record_fault, cases):
    valid = {
        "datasets": {"s": {"kind": "shapes"}},
        "encoders": {"e": {"architecture": "ViT-B-32", "tag": "openai"}},
        "targets": ["x"],
    }
    places = st.sampled_from(
        [
            ("datasets", "s", "shards"),
            ("datasets", "s"),
            ("datasets",),
            ("encoders", "e", "hub"),
            ("encoders", "e"),
            ("seed",),
            ("tables",),
            ("like",),
        ]
    )

    def read(change: tuple[tuple[str, ...], Any]) -> None:
        values = json.loads(json.dumps(valid))
        *parents, last = change[0]
        place = values
        for key in parents:
            place = place[key]
        place[last] = change[1]
        with contextlib.suppress(OvertopError):  # of several lines, one for each mistake
            load_config(values)

    tries = count_cases(st.tuples(places, VALUES | st.dictionaries(WORDS, VALUES, max_size=2)), read, cases)
    record_fault("generated input, configurations", tries, tries)
