"""Offsets from a bank against plain loops in float64, and what a bank must not be."""

import math
from contextlib import ExitStack

import numpy as np
import pytest

from helpers.oracles import cosine_similarities
from overtop.errors import OvertopError
from overtop.retrieval.bank import (
    NEAREST,
    SHRINKAGE,
    bank_fingerprint,
    check_bank,
    compute_normalisations,
    draw_queries,
)
from overtop.retrieval.normalisation import Normalisation, read_bank, read_normalisations, write_normalisations
from overtop.storage.shards import ArraySource, open_posterior, write_shard

TEMPERATURES = {"t2i": 0.01, "i2t": 0.02}


def random_source(rng, samples, items, dim=6):
    return ArraySource([rng.normal(size=(items, dim)) for _ in range(samples)])


def loop_offsets(bank, gallery, temperature):
    """Offsets of each gallery item by plain loops, from (S, B, D) and (S, N, D) embeddings."""
    similarities = cosine_similarities(bank, gallery).mean(axis=0)
    softmax, nearest = [], []
    for j in range(similarities.shape[1]):
        of_item = [float(s) for s in similarities[:, j]]
        largest = max(of_item)
        total = sum(math.exp((s - largest) / temperature) for s in of_item)
        softmax.append(temperature / 2 * (largest / temperature + math.log(total)))
        best = sorted(of_item, reverse=True)[:NEAREST]
        nearest.append(SHRINKAGE * sum(best) / len(best))
    return {"bank_softmax": softmax, "bank_nnn": nearest}


def embeddings_of(source):
    return np.stack([source.read(s, 0, source.n_items) for s in range(source.n_samples)])


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("size", [1, NEAREST - 1, NEAREST, 40])
def test_offsets_equal_plain_loops(samples, size):
    rng = np.random.default_rng(size)
    images, texts = random_source(rng, samples, 9), random_source(rng, samples, 13)
    bank_images, bank_texts = random_source(rng, samples, size), random_source(rng, samples, size)
    normalisations = compute_normalisations(images, texts, bank_images, bank_texts, TEMPERATURES, device="cpu")
    for direction, bank, gallery in (("t2i", bank_texts, images), ("i2t", bank_images, texts)):
        temperature, offsets = normalisations[direction]
        assert temperature == TEMPERATURES[direction]
        for name, expected in loop_offsets(embeddings_of(bank), embeddings_of(gallery), temperature).items():
            assert offsets[name].dtype == np.float32
            np.testing.assert_allclose(offsets[name], expected, atol=1e-6)


def test_equal_items_and_equal_bank_queries_give_equal_offsets():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 6))
    gallery, bank = ArraySource([rows[[0, 1, 0]]]), ArraySource([rows[[2, 2, 2, 3]]])
    offsets = compute_normalisations(gallery, gallery, bank, bank, TEMPERATURES, device="cpu")["t2i"].offsets
    for name, expected in loop_offsets(rows[None, [2, 2, 2, 3]], rows[None, [0, 1, 0]], 0.01).items():
        np.testing.assert_allclose(offsets[name], expected, atol=1e-6)
        assert offsets[name][0] == offsets[name][2]


@pytest.mark.parametrize("side", ["images", "texts"])
def test_empty_bank_is_refused(side):
    rng = np.random.default_rng(0)
    gallery, empty = random_source(rng, 1, 4), ArraySource([np.empty((0, 6))])
    banks = (empty, gallery) if side == "images" else (gallery, empty)
    with pytest.raises(OvertopError, match=f"the bank has no {side}; take it from a split with queries"):
        compute_normalisations(gallery, gallery, *banks, TEMPERATURES)


def test_bank_of_other_dimension_is_refused():
    rng = np.random.default_rng(0)
    gallery, bank = random_source(rng, 1, 4), random_source(rng, 1, 4, dim=5)
    with pytest.raises(OvertopError, match="same encoders"):
        compute_normalisations(gallery, gallery, bank, bank, TEMPERATURES)


def test_draw_depends_on_names_and_seed_but_not_on_order():
    rows = np.arange(20.0)[:, None]
    names = [f"q{i:02d}" for i in range(20)]
    drawn = draw_queries(ArraySource([rows], names), 7, seed=3)
    order = np.random.default_rng(0).permutation(20)
    shuffled = draw_queries(ArraySource([rows[order]], [names[i] for i in order]), 7, seed=3)
    assert len(set(drawn.item_ids)) == 7
    assert set(drawn.item_ids) == set(shuffled.item_ids)
    assert set(drawn.item_ids) != set(draw_queries(ArraySource([rows], names), 7, seed=4).item_ids)
    assert [f"q{int(x):02d}" for x in drawn.read(0, 0, 7)[:, 0]] == drawn.item_ids
    assert [f"q{int(x):02d}" for x in shuffled.read(0, 0, 7)[:, 0]] == shuffled.item_ids


@pytest.mark.parametrize("size", [None, 20, 99])
def test_draw_of_all_queries_keeps_all(size):
    source = ArraySource([np.eye(20)])
    assert draw_queries(source, size, seed=0).item_ids == source.item_ids


def test_fingerprint_depends_on_everything_that_defines_the_bank():
    source = ArraySource([np.eye(5)])
    spec = {"dataset": "d", "split": "val", "size": 3, "seed": 0}
    queries = [draw_queries(source, 3, 0)] * 2
    prints = {
        bank_fingerprint(spec, queries, {"encoders": ["a"]}),
        bank_fingerprint(spec | {"split": "train"}, queries, {"encoders": ["a"]}),
        bank_fingerprint(spec, [draw_queries(source, 3, 1)] * 2, {"encoders": ["a"]}),
        bank_fingerprint(spec, queries, {"encoders": ["b"]}),
    }
    assert len(prints) == 4
    assert bank_fingerprint(spec, queries, {"encoders": ["a"]}) in prints


def write_posterior(folder, ids, rows, dataset="d", encoder="e", sampling="deterministic"):
    """Write one shard per modality with the same rows; captions are named like their images with `#0`."""
    paths = []
    for modality, suffix in (("image", ""), ("text", "#0")):
        provenance = {
            "dataset": dataset, "encoder": {"name": encoder}, "sampling": sampling, "shard": 0, "shards": 1,
        }  # fmt: skip
        path = folder / f"{modality}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_shard(path, rows[None], [name + suffix for name in ids], np.ones(len(ids), bool), provenance)
        paths.append([path])
    return paths


def check(tmp_path, bank, evaluated):
    """Check the bank of two posteriors, each as the arguments of `write_posterior`."""
    with ExitStack() as stack:
        sources = [
            stack.enter_context(open_posterior(*write_posterior(tmp_path / name, **arguments)))
            for name, arguments in (("bank", bank), ("evaluated", evaluated))
        ]
        check_bank(*sources)


ROWS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def test_bank_of_other_queries_is_accepted(tmp_path):
    check(tmp_path, {"ids": ["a", "b", "c"], "rows": ROWS}, {"ids": ["d", "e", "f"], "rows": ROWS})


def test_evaluated_query_in_the_bank_is_named(tmp_path):
    with pytest.raises(OvertopError, match="query 'c' is evaluated and in the bank"):
        check(tmp_path, {"ids": ["a", "b", "c"], "rows": ROWS}, {"ids": ["c", "d", "e"], "rows": -ROWS})


@pytest.mark.parametrize("other", [{"dataset": "other"}, {"encoder": "imported"}])
def test_names_that_need_not_identify_an_item_are_compared_by_embedding(tmp_path, other):
    """Imported embeddings without names are numbered in each split, and other data sets have their own names."""
    same = {"encoder": "imported"} if "encoder" in other else {}
    evaluated = {"ids": ["0", "1", "2"], "rows": -ROWS, **same}
    check(tmp_path / "different", {"ids": ["0", "1", "2"], "rows": ROWS, **other}, evaluated)
    bank = {"ids": ["0", "1", "2"], "rows": np.concatenate([ROWS[:2], -ROWS[2:]]), **other}
    with pytest.raises(OvertopError, match="query '2' is evaluated and in the bank"):
        check(tmp_path / "same", bank, evaluated)


@pytest.mark.parametrize(("key", "value"), [("encoder", "f"), ("sampling", "dropout-0.1x1")])
def test_bank_of_another_encoder_or_sampling_is_refused(tmp_path, key, value):
    evaluated = {"ids": ["d", "e", "f"], "rows": ROWS}
    with pytest.raises(OvertopError, match=f"embedded with another {key}"):
        check(tmp_path, {"ids": ["a", "b", "c"], "rows": ROWS, key: value}, evaluated)


def test_offsets_are_read_by_the_names_of_the_items(tmp_path):
    galleries = {"t2i": ["a", "b", "c"], "i2t": ["x"]}
    offsets = np.array([0.1, 0.2, 0.3], np.float32)
    written = {"t2i": Normalisation(0.01, {"bank_nnn": offsets}), "i2t": Normalisation(0.02, {"bank_nnn": offsets[:1]})}
    write_normalisations(tmp_path / "bank.h5", written, galleries, {"label": "d/val"})
    read = read_normalisations(tmp_path / "bank.h5", {"t2i": ["c", "a"], "i2t": ["x"]})
    assert read_bank(tmp_path / "bank.h5") == {"label": "d/val"}
    assert {direction: read[direction].temperature for direction in read} == {"t2i": 0.01, "i2t": 0.02}
    np.testing.assert_array_equal(read["t2i"].offsets["bank_nnn"], offsets[[2, 0]])
    with pytest.raises(OvertopError, match=r"bank\.h5: has no offset of item 'd'; delete it"):
        read_normalisations(tmp_path / "bank.h5", {"t2i": ["a", "d"]})
