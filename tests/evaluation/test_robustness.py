import numpy as np
import pandas as pd
import pytest

from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import bootstrap_seed, draw_cluster_weights
from overtop.evaluation.robustness import (
    AVERAGE,
    COLUMNS,
    DatasetHits,
    align_hits,
    combine_multilabel,
    harmonic_mean,
    measure_robustness,
)
from overtop.terms import CLEAN

BOOTSTRAP = BootstrapSpec(resamples=100, level=0.9)


def make_hits(name, n, seeds=(2, 3), views=(CLEAN, "pgd", "aa"), rates=(0.8, 0.4, 0.2)):
    """Random hits of two models with different numbers of encoders."""
    rng = np.random.default_rng(n)
    models = zip(("plain", "defended"), seeds, strict=True)
    return DatasetHits(
        name,
        {
            (model, view): rng.random((s, n)) < rate
            for model, s in models
            for view, rate in zip(views, rates, strict=True)
        },
    )


def loop_harmonic(a, b):
    return 2 / (1 / a + 1 / b) if a and b else 0.0


def loop_interval(value, draws, level):
    """The smallest distance that at least a share `level` of the draws, counted with one at infinity, is within."""
    distances = sorted(abs(draw - value) for draw in draws) + [np.inf]
    radius = distances[int(level * len(distances) + 1e-9)]
    return value - radius, value + radius


def loop_accuracy(hits, images):
    """Mean over encoders of the share of right answers among a list of images, repetitions included."""
    return float(np.mean([np.mean([row[i] for i in images]) for row in hits]))


def resampled_images(n, resamples, seed):
    return [np.repeat(np.arange(n), row) for row in draw_cluster_weights(n, resamples, seed)]


def test_every_number_is_that_of_plain_loops_over_repeated_images():
    datasets = [make_hits("a", 13), make_hits("b", 7)]
    table = measure_robustness(datasets, BOOTSTRAP, 5, "test", "plain").set_index(["dataset", "model", "view"])
    value, draws = {}, {}
    for each in datasets:
        n = next(iter(each.hits.values())).shape[1]
        samples = resampled_images(n, 100, bootstrap_seed(5, each.dataset, "test"))
        for key, hits in each.hits.items():
            value[each.dataset, *key] = loop_accuracy(hits, range(n))
            draws[each.dataset, *key] = [loop_accuracy(hits, images) for images in samples]
    for key in datasets[0].hits:
        value[AVERAGE, *key] = (value["a", *key] + value["b", *key]) / 2
        draws[AVERAGE, *key] = [(x + y) / 2 for x, y in zip(draws["a", *key], draws["b", *key], strict=True)]
    assert set(table.index) == set(value)
    for (dataset, model, view), accuracy in value.items():
        row, drawn = table.loc[(dataset, model, view)], draws[dataset, model, view]
        clean, baseline = (dataset, model, CLEAN), (dataset, "plain", view)
        assert row["value"] == pytest.approx(accuracy)
        low, high = loop_interval(accuracy, drawn, 0.9)
        assert (row["value_low"], row["value_high"]) == pytest.approx((max(low, 0), min(high, 1)))
        if view == CLEAN:
            assert np.isnan(row["harmonic"])
        else:
            harmonic = loop_harmonic(accuracy, value[clean])
            low, high = loop_interval(harmonic, list(map(loop_harmonic, drawn, draws[clean])), 0.9)
            assert row["harmonic"] == pytest.approx(harmonic)
            assert (row["harmonic_low"], row["harmonic_high"]) == pytest.approx((max(low, 0), min(high, 1)))
        if model == "plain":
            assert row[["difference", "difference_low", "difference_high"]].isna().all()
        else:
            difference = accuracy - value[baseline]
            differences = [x - y for x, y in zip(drawn, draws[baseline], strict=True)]
            assert row["difference"] == pytest.approx(difference)
            ends = (row["difference_low"], row["difference_high"])
            assert ends == pytest.approx(loop_interval(difference, differences, 0.9))


def test_standard_deviation_is_over_the_encoders_of_a_model():
    hits = {("m", CLEAN): np.array([[1, 1, 0, 0], [1, 1, 1, 1]], dtype=bool)}
    table = measure_robustness([DatasetHits("a", hits)], BOOTSTRAP, 0, "test", "m")
    assert table["value"].tolist() == [0.75]
    assert table["value_sd"].tolist() == pytest.approx([np.std([0.5, 1.0], ddof=1)])
    assert table["n_seeds"].tolist() == [2]


def test_deviation_of_the_average_is_that_of_the_averages_of_the_encoders():
    first = {("m", CLEAN): np.array([[1, 0], [1, 1]], dtype=bool)}
    second = {("m", CLEAN): np.array([[1, 1], [1, 0]], dtype=bool)}
    datasets = [DatasetHits("a", first), DatasetHits("b", second)]
    average = measure_robustness(datasets, BOOTSTRAP, 0, "test", "m").iloc[-1]
    assert (average["dataset"], average["value_sd"], average["n_images"]) == (AVERAGE, 0.0, 4)


def test_harmonic_mean_of_averages_is_the_published_one():
    """H(AA) of UCAT's table is that of the averages: 64.45 and 0.51 give 1.01, 54.17 and 30.58 give 39.09."""
    clean, attacked = np.array([64.45, 43.83, 54.17]), np.array([0.51, 28.74, 30.58])
    assert harmonic_mean(clean, attacked).round(2).tolist() == [1.01, 34.72, 39.09]
    assert harmonic_mean(np.array([0.0, 0.0]), np.array([0.0, 0.5])).tolist() == [0.0, 0.0]


def test_one_image_has_an_interval_without_width_and_one_data_set_no_average():
    hits = {("m", view): np.array([[hit]]) for view, hit in ((CLEAN, True), ("pgd", False))}
    table = measure_robustness([DatasetHits("a", hits)], BOOTSTRAP, 0, "test", "m")
    assert table[["value", "value_low", "value_high"]].to_numpy().tolist() == [[1, 1, 1], [0, 0, 0]]
    assert table["dataset"].unique().tolist() == ["a"]
    assert table["value_sd"].isna().all()
    assert table.columns.tolist() == COLUMNS


def test_models_that_are_equal_image_by_image_differ_by_exactly_zero():
    hits = np.random.default_rng(0).random((1, 50)) < 0.5
    table = measure_robustness(
        [DatasetHits("a", {("m", CLEAN): hits, ("copy", CLEAN): hits})], BOOTSTRAP, 0, "test", "m"
    )
    assert table.iloc[1][["difference", "difference_low", "difference_high"]].tolist() == [0, 0, 0]
    assert table.iloc[1]["value_high"] > table.iloc[1]["value"]


def test_measures_of_several_labels_are_means_over_encoders():
    """Values 0.2 and 0.4 with intervals of widths 0.2 and 0.1."""
    table = pd.DataFrame({"measure": ["map", "f1_at_3"], "value": [0.2, 0.5], "low": [0.1, 0.4], "high": [0.3, 0.6]})
    other = table.assign(value=[0.4, 0.5], low=[0.35, 0.5], high=[0.45, 0.5])
    tables = [each.assign(n_images=7, n_classes=3) for each in (table, other)]
    rows = combine_multilabel({("coco", "m", CLEAN): tables, ("coco", "m", "pgd"): tables[:1]})
    assert rows.columns.tolist() == COLUMNS
    assert rows["measure"].tolist() == ["map", "f1_at_3"] * 2
    first = rows.iloc[0]
    numbers = first[["value", "value_low", "value_high", "value_sd"]].tolist()
    assert numbers == pytest.approx([0.3, 0.225, 0.375, np.std([0.2, 0.4], ddof=1)])
    assert (first["n_seeds"], first["n_images"]) == (2, 7)
    assert np.isnan(rows.iloc[2]["value_sd"])


def test_hits_are_aligned_by_image():
    first = pd.DataFrame({"image_id": ["b", "a", "c"], "hit": [True, False, True]})
    second = pd.DataFrame({"image_id": ["a", "b", "c"], "hit": [True, True, False]})
    aligned = align_hits("d", {("m", CLEAN): [first, second]})
    assert aligned.hits["m", CLEAN].tolist() == [[False, True, True], [True, True, False]]


def test_other_images_are_an_error_that_names_data_set_and_model():
    tables = [pd.DataFrame({"image_id": list(images), "hit": True}) for images in ("ab", "ac")]
    with pytest.raises(OvertopError, match=r"d: n \(pgd\) was evaluated on other images"):
        align_hits("d", {("m", CLEAN): tables[:1], ("n", "pgd"): tables[1:]})
    with pytest.raises(OvertopError, match="d: there are no images"):
        align_hits("d", {("m", CLEAN): [tables[0][:0]]})
