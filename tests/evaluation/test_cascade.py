import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.errors import OvertopError
from overtop.evaluation.cascade import (
    FRACTIONS,
    Cascade,
    Known,
    Plan,
    join,
    pair,
    probability_wrong,
    scored,
    study,
    voted,
)
from overtop.evaluation.ordering import Ordering
from overtop.evaluation.selective import aurc
from overtop.evaluation.stopping import count
from overtop.retrieval.ranking import Ranking, write_ranking
from overtop.seeds import derive_seed

script = load_script("cascade")

IMAGES, CAPTIONS, SAMPLES = 60, 120, 12


def area(uncertainty, hit):
    return aurc(Ordering(np.asarray(uncertainty, float), np.asarray(hit, bool)).counts())[0]


def split(seed, expensive_noise=0.8, dropped=()):
    """Scores and rankings of a world in which each query compares its own item with others through noise."""
    rng = np.random.default_rng(seed)
    images, captions = [f"i{k}" for k in range(IMAGES)], [f"c{k}" for k in range(CAPTIONS)]
    owner = np.repeat(np.arange(IMAGES), CAPTIONS // IMAGES)
    truth = np.where(owner[:, None] == np.arange(IMAGES), rng.uniform(0.5, 3.5, CAPTIONS)[:, None], 0)
    truth = truth + 0.7 * rng.normal(size=truth.shape)
    cheap, expensive, rankings = [], [], {}
    for direction, similarity, queries, gallery in (
        ("t2i", truth, captions, images),
        ("i2t", truth.T, images, captions),
    ):
        noisy = similarity[:, None] + expensive_noise * rng.normal(size=(len(queries), SAMPLES, len(gallery)))
        mean = noisy.mean(axis=1)
        tops = np.argsort(-mean, axis=1)
        ballots = noisy.argmax(axis=2)
        rankings[direction] = Ranking(queries, gallery, tops, -np.sort(-mean, axis=1), ballots[:, :, None])
        weak = similarity + 0.8 * rng.normal(size=similarity.shape)
        best = -np.sort(-weak, axis=1)
        image = np.asarray(images)[owner if direction == "t2i" else np.arange(IMAGES)]
        gallery_image = np.arange(IMAGES) if direction == "t2i" else owner
        for frames, top, uncertainty in (
            (cheap, weak.argmax(axis=1), best[:, 1] - best[:, 0]),
            (expensive, tops[:, 0], 1 - (ballots == tops[:, :1]).mean(axis=1)),
        ):
            frame = pd.DataFrame(
                {
                    "query_id": queries,
                    "image_id": image,
                    "direction": direction,
                    "estimator": "margin" if frames is cheap else "top1_consistency",
                    "protocol": "corrected",
                    "uncertainty": uncertainty,
                    "hit": np.asarray(images)[gallery_image[top]] == image,
                }
            )
            frames.append(frame[~frame["query_id"].isin(dropped)])
    return Known(*(pd.concat(frames, ignore_index=True) for frames in (cheap, expensive)), rankings)


TEST, VAL = split(0), split(1)
PLAN = Plan("margin", "top1_consistency", "corrected", (0, 0.1), resamples=100, level=0.9, seed=0)


def two(known, direction, error=0.1):
    cheap = scored(known.cheap, direction, "margin", "corrected")
    counted = count(known.rankings[direction].sample_top[:, :, 0])
    return pair(cheap, voted(known, direction, counted.settled(error)))


@pytest.fixture(scope="module")
def found():
    return {direction: study(TEST, VAL, direction, PLAN) for direction in ("t2i", "i2t")}


def rows(found, direction, rule):
    curve = found[direction].curve
    return curve[curve["rule"] == rule].reset_index(drop=True)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_a_voted_answer_is_right_if_it_belongs_to_the_querys_image(direction):
    ranking = TEST.rankings[direction]
    vote = count(ranking.sample_top[:, :, 0]).settled(0.1)
    answers = voted(TEST, direction, vote)
    for nth, (query, row) in enumerate(answers.iterrows()):
        own, item = (int(name[1:]) for name in (query, ranking.gallery_ids[vote.winner[nth]]))
        caption, image = (own, item) if direction == "t2i" else (item, own)
        assert row["hit"] == (caption // 2 == image)
        assert row["image_id"] == f"i{image if direction == 'i2t' else caption // 2}"
        assert row["samples"] == vote.samples[nth]
        assert row["uncertainty"] == 1 - vote.consistency[nth]
    assert 0 < answers["hit"].mean() < 1


def test_a_caption_whose_image_was_skipped_is_no_hit():
    known = split(0, dropped=["c0", "c1"])
    ranking = known.rankings["i2t"]
    vote = count(ranking.sample_top[:, :, 0]).first(SAMPLES)
    told = [ranking.gallery_ids[item] in ("c0", "c1") for item in vote.winner]
    assert any(told)
    assert not voted(known, "i2t", vote)["hit"][told].any()


@pytest.mark.parametrize("seed", range(5))
def test_probabilities_are_those_of_pooled_violators(seed):
    rng = np.random.default_rng(seed)
    uncertainty, hit = rng.integers(0, 12, 60) / 10, rng.random(60) < 0.6
    blocks = []  # (value, misses, queries) of each distinct uncertainty, pooled until they rise
    for value in sorted(set(uncertainty)):
        blocks.append([value, (~hit[uncertainty == value]).sum(), (uncertainty == value).sum()])
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][2] >= blocks[-1][1] / blocks[-1][2]:
            _, misses, queries = blocks.pop()
            blocks[-1][1:] = [blocks[-1][1] + misses, blocks[-1][2] + queries]
    at = np.array([-1, 0, 0.05, 0.3, 0.7, 1.1, 5])
    expected = [
        next((m / n for value, m, n in reversed(blocks) if value <= x), blocks[0][1] / blocks[0][2]) for x in at
    ]
    np.testing.assert_allclose(probability_wrong(uncertainty, hit, at), expected)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_places_order_by_probability_and_keep_each_posteriors_own_order(direction):
    test, val = two(TEST, direction), two(VAL, direction)
    cascade = join(test, val)
    cheap, expensive = test["cheap"].to_numpy(), test["expensive"].to_numpy()
    broken = [(a, b) for a, b in zip(expensive, cheap, strict=True)]
    known = list(zip(val["expensive"], val["cheap"], strict=True))
    every = sorted({*broken, *known})
    wrong = [
        probability_wrong(val["cheap"], val["cheap_hit"], cheap),
        probability_wrong(
            np.array([every.index(one) for one in known]),
            val["expensive_hit"],
            np.array([every.index(one) for one in broken]),
        ),
    ]
    own = [[(value,) for value in cheap], broken]
    keys = [(wrong[side][q], side, own[side][q]) for side in (0, 1) for q in range(len(test))]
    distinct = sorted(set(keys))
    assert cascade.place.ravel().tolist() == [distinct.index(key) for key in keys]
    assert len(distinct) > 3 * len(test) / 2


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_the_ends_of_a_curve_are_its_two_parts(found, direction):
    cheap = scored(TEST.cheap, direction, "margin", "corrected")
    full = scored(TEST.expensive, direction, "top1_consistency", "corrected")
    vote = two(TEST, direction)
    broken = np.lexsort([vote["cheap"], vote["expensive"]]).argsort()
    ends = {
        "full": (full["hit"], np.lexsort([cheap["uncertainty"], full["uncertainty"]]).argsort(), SAMPLES),
        "d=0.1": (vote["expensive_hit"], broken, vote["samples"].mean()),
    }
    for rule, (hit, uncertainty, samples) in ends.items():
        first, last = rows(found, direction, rule).iloc[0], rows(found, direction, rule).iloc[-1]
        assert first["samples_per_query"] == 1
        assert last["samples_per_query"] == pytest.approx(1 + samples)
        assert first["aurc"] == pytest.approx(area(cheap["uncertainty"], cheap["hit"]))
        assert last["aurc"] == pytest.approx(area(uncertainty, hit))
        assert (first["recall_at_1"], last["recall_at_1"]) == (cheap["hit"].mean(), hit.mean())
        assert first["change"] == first["change_low"] == first["change_high"] == 0


def test_the_most_uncertain_are_escalated(found):
    test = two(TEST, "t2i")
    worst = test["cheap"].sort_values(ascending=False).index
    for _, row in rows(found, "t2i", "d=0.1").iterrows():
        number = round(row["fraction"] * len(test))
        asked = test.index.isin(worst[:number])
        assert row["samples_per_query"] == pytest.approx(1 + test["samples"][asked].sum() / len(test))
        hit = np.where(asked, test["expensive_hit"], test["cheap_hit"])
        assert row["recall_at_1"] == pytest.approx(hit.mean())


def test_equal_uncertainties_are_escalated_in_no_order_of_the_file():
    known = Known(TEST.cheap.assign(uncertainty=0.5), TEST.expensive, TEST.rankings)
    half = study(known, VAL, "t2i", PLAN).curve.query("rule == 'd=0.1' and fraction == 0.5").iloc[0]
    samples = two(known, "t2i")["samples"].to_numpy()
    assert half["samples_per_query"] != 1 + samples[: CAPTIONS // 2].sum() / CAPTIONS


def test_intervals_hold_the_value_and_are_those_of_drawn_images(found):
    curve = rows(found, "t2i", "full")
    assert (curve["aurc_low"] <= curve["aurc"]).all()
    assert (curve["aurc"] <= curve["aurc_high"]).all()
    assert (curve["change_low"][1:] < curve["change_high"][1:]).all()
    cheap = scored(TEST.cheap, "t2i", "margin", "corrected")
    rng = np.random.default_rng(5)
    areas = []
    for _ in range(400):
        drawn = np.concatenate([[2 * image, 2 * image + 1] for image in rng.integers(0, IMAGES, IMAGES)])
        areas.append(area(cheap["uncertainty"].to_numpy()[drawn], cheap["hit"].to_numpy()[drawn]))
    np.testing.assert_allclose(curve.loc[0, ["aurc_low", "aurc_high"]].tolist(), np.quantile(areas, [0.05, 0.95]), 0.25)


def test_chance_has_no_interval_and_the_same_ends(found):
    chance, full = rows(found, "t2i", "random"), rows(found, "t2i", "full")
    np.testing.assert_allclose(chance["samples_per_query"], full["samples_per_query"])
    np.testing.assert_allclose(chance["aurc"].iloc[[0, -1]], full["aurc"].iloc[[0, -1]])
    assert chance[["aurc_low", "aurc_high", "change_low", "change_high"]].isna().all(axis=None)


def test_tables_list_every_rule(found):
    assert found["t2i"].curve["rule"].unique().tolist() == ["full", "certain", "d=0.1", "random"]
    assert found["t2i"].curve.groupby("rule")["fraction"].apply(list).map(lambda f: f == FRACTIONS.tolist()).all()
    votes = found["i2t"].votes.set_index("rule")
    assert votes.index.tolist() == ["certain", "d=0.1", "first 2", "first 5", "first 10", f"first {SAMPLES}"]
    assert votes.loc["certain", "recall_at_1"] == votes.loc[f"first {SAMPLES}", "recall_at_1"]
    assert found["i2t"].spent["rule"].unique().tolist() == ["certain", "d=0.1"]


def test_without_stopping_rules_an_ensemble_is_asked_in_full():
    plan = Plan("margin", "top1_consistency", "corrected", (), resamples=100, level=0.9, seed=0)
    alone = study(TEST, VAL, "t2i", plan)
    assert alone.curve["rule"].unique().tolist() == ["full", "random"]
    assert alone.spent.empty


def test_a_better_posterior_finds_more_where_the_cheap_one_is_uncertain():
    curve = study(split(2, expensive_noise=0.1), split(3, expensive_noise=0.1), "t2i", PLAN).curve
    full, chance = (curve[curve["rule"] == rule].set_index("fraction") for rule in ("full", "random"))
    assert full["aurc"][1] < full["aurc"][0]
    assert (full["recall_at_1"] > chance["recall_at_1"])[0.3:0.7].all()


def test_queries_that_one_posterior_lacks_are_left_out():
    test = two(split(0, dropped=["c3"]), "t2i")
    assert len(test) == CAPTIONS - 1
    cheap = scored(TEST.cheap, "t2i", "margin", "corrected").drop("c5")
    expensive = scored(TEST.expensive, "t2i", "top1_consistency", "corrected").drop("c9").assign(samples=SAMPLES)
    assert set(pair(cheap, expensive).index) == set(cheap.index) - {"c9"}
    with pytest.raises(OvertopError, match="no query in common"):
        pair(cheap.head(2), expensive.tail(2))


def test_an_estimator_that_was_not_scored_is_named():
    with pytest.raises(OvertopError, match=r"no scores of 'margn'.*'margin'"):
        scored(TEST.cheap, "t2i", "margn", "corrected")
    with pytest.raises(OvertopError, match="protocol 'published'"):
        scored(TEST.cheap, "t2i", "margin", "published")


def test_a_ranking_of_other_queries_is_refused():
    other = TEST.rankings["t2i"]
    short = Ranking(other.query_ids[:-1], other.gallery_ids, other.top_ids, other.top_scores, other.sample_top[:-1])
    known = Known(TEST.cheap, TEST.expensive, {**TEST.rankings, "t2i": short})
    with pytest.raises(OvertopError, match="score that ranking again"):
        voted(known, "t2i", count(short.sample_top[:, :, 0]).first(2))


def test_an_uncertainty_that_is_no_number_is_refused():
    cheap = scored(TEST.cheap, "t2i", "margin", "corrected")
    full = scored(TEST.expensive, "t2i", "top1_consistency", "corrected").assign(samples=SAMPLES)
    with pytest.raises(OvertopError, match="uncertainty of query number 0 is nan"):
        pair(cheap.assign(uncertainty=np.nan), full)


@pytest.mark.parametrize("hits", list(itertools.product([False, True], repeat=2)))
def test_one_query_has_a_curve(hits):
    one = pd.DataFrame(
        {"image_id": ["i"], "samples": [5], "cheap": [0.3], "expensive": [0.1], "cheap_hit": [hits[0]]}, index=["q"]
    ).assign(expensive_hit=hits[1])
    cascade = join(one, one)
    assert isinstance(cascade, Cascade)
    steps = [step.row() for step in cascade.steps(np.array([0]))]
    assert [steps[0]["aurc"], steps[-1]["aurc"]] == [1 - hits[0], 1 - hits[1]]
    assert [steps[0]["samples_per_query"], steps[-1]["samples_per_query"]] == [1, 6]


class Files(dict):
    """Named files, as Snakemake hands them to a script."""

    __getattr__ = dict.__getitem__


def test_the_rule_writes_what_the_study_finds(tmp_path):
    paths = Files()
    for role, known in (("test", TEST), ("val", VAL)):
        for name in ("cheap", "expensive"):
            paths[f"{name}_{role}"] = tmp_path / f"{name}-{role}.parquet"
            getattr(known, name).to_parquet(paths[f"{name}_{role}"])
        paths[f"ranking_{role}"] = tmp_path / f"ranking-{role}.h5"
        write_ranking(paths[f"ranking_{role}"], known.rankings, {})
    out = Files({name: tmp_path / f"out-{name}.csv" for name in ("curve", "votes", "spent")})
    named = ("cheap_estimator", "expensive_estimator", "protocol", "errors")
    spec = {"dataset": "d", "cheap": "p", "expensive": "q", **{name: getattr(PLAN, name) for name in named}}
    bootstrap = {"resamples": PLAN.resamples, "level": PLAN.level}
    job = SimpleNamespace(
        input=paths,
        output=out,
        params=SimpleNamespace(spec=spec, bootstrap=bootstrap, seed=PLAN.seed),
        wildcards=SimpleNamespace(cascade="c"),
    )
    script.main(job)
    plan = replace(PLAN, seed=derive_seed(PLAN.seed, "cascade", "c"))
    for direction in ("t2i", "i2t"):
        expected = study(TEST, VAL, direction, plan)
        for name, path in out.items():
            written = pd.read_csv(path)
            rows_of = written[written["direction"] == direction].drop(columns="direction").reset_index(drop=True)
            pd.testing.assert_frame_equal(rows_of, getattr(expected, name), check_dtype=False)
