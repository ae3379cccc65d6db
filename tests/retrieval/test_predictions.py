import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax, softmax

from helpers.oracles import cosine_similarities
from overtop.errors import OvertopError
from overtop.retrieval import predictions
from overtop.retrieval.exact import rank
from overtop.retrieval.predictions import describe_softmax, label_matrix, model_temperature, predict_classes
from overtop.storage.shards import ArraySource, ShardSource, write_shard
from overtop.storage.split import split_from_frame, split_from_labels

TEMPERATURES = {"model": 0.01, "dirichlet": 0.07}


def make_inputs(n_images=30, classes=6, samples=1, several=False, seed=0):
    """Return a split, images near the prompts of their first label, and prompts; with `several`, up to two labels."""
    rng = np.random.default_rng(seed)
    labels = [
        rng.choice(classes, rng.integers(1, 3) if several else 1, replace=False).tolist() for _ in range(n_images)
    ]
    names = [f"image{i}" for i in range(n_images)]
    split = split_from_labels(names, [""] * n_images, labels, [f"class {c}" for c in range(classes)], ["a {c}"])
    prompts = rng.normal(size=(samples, classes, 12))
    images = prompts[:, [of[0] for of in labels]] + 3 * rng.normal(size=(samples, n_images, 12))
    return split, ArraySource(images, names), ArraySource(prompts, split.caption_ids), labels


def similarities(images, classes):
    arrays = [np.stack([s.read(i, 0, s.n_items) for i in range(s.n_samples)]) for s in (images, classes)]
    return cosine_similarities(*arrays).mean(axis=0)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("several", [False, True])
def test_predictions_equal_the_softmax_over_the_whole_matrix(monkeypatch, samples, several):
    monkeypatch.setattr(predictions, "MAX_ARRAY_BYTES", 8 * 6 * 6 * 7)  # blocks of seven images
    split, images, classes, labels = make_inputs(samples=samples, several=several)
    table = predict_classes(split, images, classes, TEMPERATURES)
    scores = similarities(images, classes)
    assert table["probability"].tolist() == ["model"] * 30 + ["dirichlet"] * 30
    for name, temperature in TEMPERATURES.items():
        rows = table[table["probability"] == name].reset_index(drop=True)
        assert rows["image_id"].tolist() == images.item_ids
        p, log_p = softmax(scores / temperature, axis=1), log_softmax(scores / temperature, axis=1)
        for i, of_image in enumerate(labels):
            row, best = rows.loc[i], int(scores[i].argmax())
            assert row["top1_id"] == str(best)
            assert row["hit"] == (best in of_image)
            assert row["temperature"] == temperature
            assert row["confidence"] == pytest.approx(p[i].max(), rel=1e-4)
            assert row["uncertainty"] == pytest.approx(-log_p[i].max(), rel=1e-3, abs=1e-9)
            assert row["entropy"] == pytest.approx(-(p[i] * log_p[i]).sum(), rel=1e-3, abs=1e-9)
            one_hot = np.eye(6)[of_image[0]]
            expected = (-log_p[i, of_image[0]], ((p[i] - one_hot) ** 2).sum())
            values = row[["nll", "brier"]].astype(float)
            if len(of_image) > 1:
                assert values.isna().all()
            else:
                np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-9)
    assert 0 < table["hit"].mean() < 1


def test_hits_are_those_of_the_ranking():
    split, images, classes, _ = make_inputs(n_images=200)
    table = predict_classes(split, images, classes, {"model": 0.01})
    ranking = rank(images, classes, top=1, directions=["i2t"])["i2t"]
    assert table["top1_id"].tolist() == [str(i) for i in ranking.top_ids[:, 0]]


def test_confidences_that_round_to_one_have_distinct_uncertainties():
    similarity = np.array([[0.9, 0.1, 0.1], [0.9, 0.2, 0.1], [0.9, 0.9, 0.1]])
    columns = describe_softmax(similarity, np.eye(3, dtype=bool)[[0, 0, 2]], 0.01)
    np.testing.assert_allclose(columns["confidence"], [1, 1, 0.5])
    np.testing.assert_allclose(columns["uncertainty"], [2 * np.exp(-80), np.exp(-70) + np.exp(-80), np.log(2)])
    np.testing.assert_allclose(columns["nll"], [2 * np.exp(-80), np.exp(-70) + np.exp(-80), 80 + np.log(2)])
    np.testing.assert_allclose(columns["brier"], [0, 0, 1.5], atol=1e-12)
    np.testing.assert_allclose(columns["entropy"], [0, 0, np.log(2)], atol=1e-12)


def test_one_class_is_certain():
    columns = describe_softmax(np.array([[0.3]]), np.ones((1, 1), dtype=bool), 0.01)
    assert {name: values.tolist() for name, values in columns.items()} == {
        "confidence": [1.0], "uncertainty": [0.0], "nll": [0.0], "entropy": [0.0], "brier": [0.0],
    }  # fmt: skip


def test_equal_similarities_go_to_the_first_class():
    split = split_from_labels(["a"], [""], [[1]], ["same", "same", "other"], ["{c}"])
    classes = ArraySource([np.array([[1.0, 0], [1, 0], [0, 1]])])
    table = predict_classes(split, ArraySource([np.array([[3.0, 1]])], ["a"]), classes, {"model": 0.01})
    assert table.loc[0, "top1_id"] == "0"
    assert not table.loc[0, "hit"]


def test_skipped_images_are_left_out_and_prompts_may_have_any_order():
    split, images, classes, _ = make_inputs()
    rows, order = np.delete(np.arange(30), [0, 7]), np.array([3, 0, 5, 1, 4, 2])
    some = ArraySource([images.read(0, 0, 30)[rows]], [images.item_ids[i] for i in rows])
    shuffled = ArraySource([classes.read(0, 0, 6)[order]], [classes.item_ids[i] for i in order])
    expected = predict_classes(split, images, classes, {"model": 0.01}).iloc[rows].reset_index(drop=True)
    found = predict_classes(split, some, shuffled, {"model": 0.01})
    assert found[["image_id", "hit", "top1_id"]].equals(expected[["image_id", "hit", "top1_id"]])
    np.testing.assert_allclose(found["nll"], expected["nll"], rtol=1e-4)


def test_invalid_inputs_are_errors():
    split, images, classes, _ = make_inputs()
    with pytest.raises(OvertopError, match="'model' is not above 0"):
        predict_classes(split, images, classes, {"model": 0.0})
    with pytest.raises(OvertopError, match="not those of all classes"):
        label_matrix(split, images.item_ids, classes.item_ids[:-1])
    captions = split_from_frame(
        pd.DataFrame({"image_id": ["a"], "image_path": [""], "caption_id": ["b"], "caption": ["words"]})
    )
    with pytest.raises(OvertopError, match="captions instead of classes"):
        label_matrix(captions, ["a"], ["b"])


@pytest.mark.parametrize(
    ("encoders", "expected"), [([{"logit_scale": 50.0}], 0.02), ([{}], None), ([{"logit_scale": 50.0}, {}], None)]
)
def test_model_temperature_is_one_over_the_logit_scale(tmp_path, encoders, expected):
    groups = []
    for number, encoder in enumerate(encoders):
        path = tmp_path / f"{number}" / "image.h5"
        path.parent.mkdir()
        provenance = {"encoder": {"name": str(number), **encoder}, "sampling": "s", "shard": 0, "shards": 1}
        write_shard(path, np.ones((1, 2, 3), dtype=np.float32), ["a", "b"], np.ones(2, bool), provenance)
        groups.append([path])
    with ShardSource(groups) as images:
        assert model_temperature(images) == expected
