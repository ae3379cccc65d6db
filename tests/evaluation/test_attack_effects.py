import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from overtop.errors import OvertopError
from overtop.evaluation.attack_effects import (
    COLUMNS,
    LOWERS,
    MIN_IMAGES,
    RAISES,
    UNDECIDED,
    add_verdicts,
    mean_p_value,
    measure_effects,
)
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.scored_views import ALL, RIGHT_BEFORE, ScoredView, align_scores
from overtop.terms import CLEAN

LEVEL = 0.9
N = 30
"""Images; with fewer, many resamples have no right answers, and the intervals are the whole range."""


def make_views(n=12, seeds=2, seed=0, decimals=1):
    """A clean view and one of an attack; rounded uncertainties have ties."""
    rng = np.random.default_rng(seed)
    views = {}
    for view, rate in ((CLEAN, 0.6), ("pgd", 0.3)):
        uncertainty = {name: rng.normal(size=(seeds, n)).round(decimals) for name in ("entropy", "margin")}
        hit = rng.random((seeds, n)) < rate
        hit[:, :2] = [True, False]
        views[view] = ScoredView(uncertainty, hit)
    return views


def loop_interval(value, draws, level):
    """The smallest distance that at least a share `level` of the draws, counted with one at infinity, is within."""
    distances = sorted(np.inf if np.isnan(draw) else abs(draw - value) for draw in draws) + [np.inf]
    radius = distances[int(level * len(distances) + 1e-9)]
    return value - radius, value + radius


def loop_auroc(uncertainty, hit):
    """Share of pairs of a miss and a hit with the miss more uncertain, ties counting half."""
    pairs = [(m, h) for m, x in zip(uncertainty, hit, strict=True) if not x for h in uncertainty[hit]]
    return np.mean([0.5 if m == h else float(m > h) for m, h in pairs]) if pairs else np.nan


def loop_measures(views, estimator, chosen, images):
    """Difference and AUROCs of a list of images, which may contain an image several times."""
    clean, attacked = views[CLEAN], views["pgd"]
    differences, before, after = [], [], []
    for s, rows in enumerate(chosen):
        mine = np.array([i for i in images if rows[i]], dtype=int)
        differences += [attacked.uncertainty[estimator][s, i] - clean.uncertainty[estimator][s, i] for i in mine]
        before.append(loop_auroc(clean.uncertainty[estimator][s, mine], clean.hit[s, mine]))
        after.append(loop_auroc(attacked.uncertainty[estimator][s, mine], attacked.hit[s, mine]))
    return {
        "difference": np.mean(differences) if differences else np.nan,
        "auroc_clean": np.mean(before),
        "auroc_attacked": np.mean(after),
        "auroc_difference": np.mean(after) - np.mean(before),
    }


def clip(ends, name):
    low = {"difference": -np.inf, "auroc_difference": -1}.get(name, 0)
    return np.clip(ends, low, np.inf if name == "difference" else 1)


@pytest.mark.parametrize("images", [ALL, RIGHT_BEFORE])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_number_is_that_of_plain_loops_over_repeated_images(images, seed):
    views = make_views(N, seed=seed)
    weights = draw_cluster_weights(N, 100, 7)
    table = measure_effects(views, weights, LEVEL)
    clean = views[CLEAN]
    chosen = clean.hit if images == RIGHT_BEFORE else np.ones_like(clean.hit)
    for estimator in ("entropy", "margin"):
        (row,) = table[(table["estimator"] == estimator) & (table["images"] == images)].to_dict("records")
        expected = loop_measures(views, estimator, chosen, range(N))
        samples = [np.repeat(np.arange(N), w) for w in weights]
        draws = pd.DataFrame([loop_measures(views, estimator, chosen, sample) for sample in samples])
        for name, value in expected.items():
            ends = clip(loop_interval(value, draws[name], LEVEL), name)
            np.testing.assert_allclose([row[name], row[f"{name}_low"], row[f"{name}_high"]], [value, *ends], atol=1e-12)
        pairs = [(s, i) for s in range(2) for i in range(N) if chosen[s, i]]
        before, after = (np.array([views[v].uncertainty[estimator][s, i] for s, i in pairs]) for v in (CLEAN, "pgd"))
        assert row["share_raised"] == pytest.approx(np.mean(after > before))
        assert (row["clean_mean"], row["attacked_mean"]) == pytest.approx((before.mean(), after.mean()))
        assert (row["n_seeds"], row["n_pairs"]) == (2, len(pairs))
        assert row["n_images"] == len({i for _, i in pairs})
        deviations = [np.std(of_seed) for of_seed in clean.uncertainty[estimator]]
        assert row["clean_sd"] == pytest.approx(np.mean(deviations))


def test_clean_auroc_of_images_that_were_right_is_missing():
    table = measure_effects(make_views(), draw_cluster_weights(12, 100, 7), LEVEL).set_index(["estimator", "images"])
    row = table.loc[("entropy", RIGHT_BEFORE)]
    assert row[["auroc_clean", "auroc_clean_low", "auroc_difference", "auroc_difference_high"]].isna().all()
    assert 0 <= row["auroc_attacked"] <= 1


def test_numbers_do_not_depend_on_the_number_of_threads():
    weights = draw_cluster_weights(12, 100, 7)
    one, two = (measure_effects(make_views(), weights, LEVEL, threads) for threads in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_p_value_of_one_encoder_is_that_of_the_paired_t_test():
    sums = np.random.default_rng(3).normal(0.3, 1, 40)
    assert mean_p_value(sums, np.ones(40)) == pytest.approx(ttest_1samp(sums, 0).pvalue)


def test_images_without_pairs_do_not_change_the_p_value():
    sums = np.random.default_rng(3).normal(0.3, 1, 40)
    padded = mean_p_value(np.append(sums, np.zeros(9)), np.append(np.ones(40), np.zeros(9)))
    assert padded == pytest.approx(ttest_1samp(sums, 0).pvalue)


def test_copies_of_an_encoder_are_no_further_evidence():
    sums = np.random.default_rng(3).normal(0.3, 1, 40)
    assert mean_p_value(3 * sums, np.full(40, 3.0)) == pytest.approx(mean_p_value(sums, np.ones(40)))


def test_p_value_is_uniform_where_there_is_no_effect():
    rng = np.random.default_rng(0)
    p = [mean_p_value(rng.normal(size=(30, 2)).sum(axis=1), np.full(30, 2.0)) for _ in range(2000)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(("sums", "expected"), [([0, 0, 0], 1.0), ([0.5, 0.5, 0.5], 0.0), ([1, -1, 0], 1.0)])
def test_p_value_of_constant_pairs_is_defined(sums, expected):
    assert mean_p_value(np.array(sums, dtype=float), np.ones(3)) == expected


def test_p_value_of_fewer_than_two_images_is_missing():
    assert np.isnan(mean_p_value(np.array([0.5]), np.ones(1)))
    assert np.isnan(mean_p_value(np.array([0.5, 0.0]), np.array([1.0, 0.0])))


def test_one_image_has_a_difference_without_verdict():
    views = {
        view: ScoredView({"entropy": np.array([[value]])}, np.array([[hit]]))
        for view, value, hit in ((CLEAN, 1.0, True), ("pgd", 0.25, False))
    }
    table = add_verdicts(with_names(measure_effects(views, draw_cluster_weights(1, 100, 0), LEVEL)), LEVEL)
    assert table["difference"].tolist() == [-0.75, -0.75]
    assert table["auroc_attacked"].isna().all()
    assert (table["verdict"] == UNDECIDED).all()


@pytest.mark.parametrize(("n", "tested"), [(MIN_IMAGES - 1, False), (MIN_IMAGES, True)])
def test_verdict_needs_some_images(n, tested):
    views = make_views(n, decimals=6)
    for estimator, uncertainty in views[CLEAN].uncertainty.items():
        views["pgd"].uncertainty[estimator][:] = uncertainty + 1
    table = add_verdicts(with_names(measure_effects(views, draw_cluster_weights(n, 100, 0), LEVEL)), LEVEL)
    of_all = table[table["images"] == ALL]
    assert (of_all["verdict"] == (RAISES if tested else UNDECIDED)).all()
    assert of_all["p_value"].notna().all() == tested


def test_set_without_images_has_missing_values():
    views = make_views()
    views[CLEAN].hit[:] = False
    table = measure_effects(views, draw_cluster_weights(12, 100, 7), LEVEL)
    empty = table[table["images"] == RIGHT_BEFORE]
    assert (empty["n_pairs"] == 0).all()
    assert empty[["difference", "difference_low", "share_raised", "p_value", "auroc_attacked"]].isna().all(axis=None)


def with_names(table):
    return table.assign(dataset="d", model="m")


def test_verdicts_use_the_p_values_of_all_rows_and_the_sign_of_the_difference():
    table = pd.DataFrame({"difference": [0.5, -0.5, -0.5, np.nan], "p_value": [0.001, 0.02, 0.04, np.nan]})
    table = add_verdicts(table.reindex(columns=COLUMNS), 0.95)
    assert table["p_holm"].tolist()[:3] == pytest.approx([0.003, 0.04, 0.04])
    assert table["verdict"].tolist() == [RAISES, LOWERS, LOWERS, UNDECIDED]
    stricter = add_verdicts(table, 0.99)
    assert stricter["verdict"].tolist() == [RAISES, UNDECIDED, UNDECIDED, UNDECIDED]


def scores(images, value, hit=True, estimators=("entropy", "margin")):
    rows = [(image, name, value + i, hit) for name in estimators for i, image in enumerate(images)]
    return pd.DataFrame(rows, columns=["query_id", "estimator", "uncertainty", "hit"])


def test_scores_are_aligned_by_image():
    views = align_scores("d", "m", {CLEAN: [scores("ba", 0.0), scores("ab", 5.0)], "pgd": [scores("ab", 1.0)] * 2})
    assert views[CLEAN].uncertainty["entropy"].tolist() == [[1, 0], [5, 6]]
    assert views["pgd"].hit.tolist() == [[True, True]] * 2


def test_estimator_that_a_view_lacks_is_left_out():
    views = align_scores("d", "m", {CLEAN: [scores("abc", 0.0)], "pgd": [scores("abc", 1.0, estimators=["margin"])]})
    table = measure_effects(views, draw_cluster_weights(3, 100, 0), LEVEL)
    assert table["estimator"].unique().tolist() == ["margin"]


def test_other_images_and_missing_uncertainties_are_errors():
    with pytest.raises(OvertopError, match=r"d: m \(pgd\) was scored on other images"):
        align_scores("d", "m", {CLEAN: [scores("ab", 0.0)], "pgd": [scores("ac", 0.0)]})
    with pytest.raises(OvertopError, match="the uncertainty of query number 0 is nan"):
        align_scores("d", "m", {CLEAN: [scores("ab", np.nan)]})
