"""Statistics of ambiguity against plain definitions, applied to the queries of every resample one by one."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.judgments import compare_with_judgments
from overtop.seeds import derive_seed

N = 16
SPEC = BootstrapSpec(resamples=100, level=0.9)
IMAGES = [f"{k}.jpg" for k in range(N)]
KEYS = ["direction", "source", "estimator", "protocol", "statistic"]


def _judgments(rng, source, pairs):
    """Return random judgments with few distinct relevances, so that there are ties."""
    image, other = rng.integers(0, N, (2, pairs))
    frame = pd.DataFrame({"image_id": [IMAGES[i] for i in image], "caption_id": [f"{IMAGES[j]}#2" for j in other]})
    frame = frame.assign(source=source, relevance=rng.integers(0, 4, pairs) / 3, n_raters=3, labelled=image == other)
    return frame.assign(relevant=frame["relevance"] > 0.9).drop_duplicates(["image_id", "caption_id"])


@pytest.fixture
def judgments():
    rng = np.random.default_rng(5)
    return pd.concat([_judgments(rng, "expert", 40), _judgments(rng, "crowd", 150)], ignore_index=True)


def _scores(rng, direction, levels=7):
    """Return scores with ties of two captions per image, of which only number 2 is judged."""
    captions = [f"{image}#{k}" for image in IMAGES for k in (1, 2)]
    queries, gallery = (captions, IMAGES) if direction == "t2i" else (IMAGES, captions)
    own = [query.split("#")[0] for query in queries]
    frame = pd.DataFrame({"query_id": queries, "image_id": own, "direction": direction})
    frame["top1_id"] = rng.choice(gallery, len(queries))
    frame["hit"] = [top.split("#")[0] == image for top, image in zip(frame["top1_id"], own, strict=True)]
    frame = frame.assign(hit_extended=pd.array([pd.NA] * len(queries), dtype="boolean"))
    return pd.concat(
        [
            frame.assign(estimator=name, protocol=protocol, uncertainty=rng.integers(0, levels, len(queries)) / levels)
            for name, protocol in (("one", "published"), ("one", "corrected"), ("two", "published"))
        ]
    )


@pytest.fixture
def scores():
    rng = np.random.default_rng(9)
    return pd.concat([_scores(rng, direction) for direction in ("t2i", "i2t")], ignore_index=True)


def _auroc(positive, negative):
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    return np.mean(pairs) if pairs else 0.5


def _spearman(x, y):
    if len(set(x)) < 2 or len(set(y)) < 2:
        return 0.0
    return np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1]


def _judged_queries(scores, judgments, direction, source):
    """Return a dict per query with a judged other item, by loops."""
    others = judgments[(judgments["source"] == source) & ~judgments["labelled"]]
    queries = []
    for _, row in scores.iterrows():
        judged = others[others["caption_id" if direction == "t2i" else "image_id"] == row["query_id"]]
        if len(judged):
            top1 = judged[judged["image_id" if direction == "t2i" else "caption_id"] == row["top1_id"]]["relevant"]
            ambiguity = {
                "max": judged["relevance"].max(),
                "mean": round(judged["relevance"].mean(), 9),  # keeps ties equal despite rounding
                "ambiguous": bool(judged["relevant"].any()),
                "top1": bool(top1.iloc[0]) if len(top1) else None,
            }
            queries.append({**row, **ambiguity})
    misses = sorted((q for q in queries if not q["hit"] and q["top1"] is not None), key=lambda q: q["uncertainty"])
    for query in misses:
        places = [k + 0.5 for k, other in enumerate(misses) if other["uncertainty"] == query["uncertainty"]]
        query["third"] = int(np.mean(places) / len(misses) * 3)
    return queries


def _statistics_by_definition(queries):
    """Return every statistic of a list of queries, which may contain a query several times, without means of none."""
    uncertainty = [q["uncertainty"] for q in queries]
    ambiguous, unambiguous = ([q["uncertainty"] for q in queries if q["ambiguous"] == some] for some in (True, False))
    misses = [q for q in queries if not q["hit"]]
    judged = [q for q in misses if q["top1"] is not None]
    means = {
        "uncertainty_ambiguous": ambiguous,
        "uncertainty_unambiguous": unambiguous,
        "judged_misses": [q["top1"] is not None for q in misses],
        "relevant_misses": [q["top1"] for q in judged],
        **{
            f"relevant_misses_{name}": [q["top1"] for q in judged if q["third"] == number]
            for number, name in enumerate(("low", "middle", "high"))
        },
    }
    statistics = {name: (np.mean(values), len(values)) for name, values in means.items() if values}
    for name in ("max", "mean"):
        statistics[f"spearman_{name}"] = _spearman(uncertainty, [q[name] for q in queries]), len(queries)
    statistics["auroc"] = _auroc(ambiguous, unambiguous), len(queries)
    sides = ([q["uncertainty"] for q in judged if q["top1"] == relevant] for relevant in (True, False))
    statistics["relevant_misses_auroc"] = _auroc(*sides), len(judged)
    return statistics


def test_values_and_intervals_equal_plain_definitions(scores, judgments):
    table = compare_with_judgments(scores, judgments, SPEC, seed=3).set_index(KEYS)
    weights = draw_cluster_weights(N, SPEC.resamples, derive_seed(3, "judgments"))
    column = {image: k for k, image in enumerate(sorted(IMAGES))}
    n_statistics = 0
    for (direction, estimator, protocol), group in scores.groupby(["direction", "estimator", "protocol"]):
        for source in ("expert", "crowd"):
            queries = _judged_queries(group, judgments, direction, source)
            resampled = [
                _statistics_by_definition([q for q in queries for _ in range(int(weight[column[q["image_id"]]]))])
                for weight in weights
            ]
            for statistic, (value, n) in _statistics_by_definition(queries).items():
                row = table.loc[(direction, source, estimator, protocol, statistic)]
                assert (row["value"], row["n"]) == (pytest.approx(value), n), statistic
                distances = sorted(abs(s[statistic][0] - value) if statistic in s else np.inf for s in resampled)
                radius, bounds = distances[90], (0, 1)  # of 100: 90 are smaller
                if statistic.startswith("uncertainty"):
                    bounds = min(q["uncertainty"] for q in queries), max(q["uncertainty"] for q in queries)
                elif statistic.startswith("spearman"):
                    bounds = (-1, 1)
                expected = max(value - radius, bounds[0]), min(value + radius, bounds[1])
                np.testing.assert_allclose((row["low"], row["high"]), expected, atol=1e-12)
                assert row["low"] <= row["value"] <= row["high"]
                n_statistics += 1
    assert n_statistics == len(table)


def test_estimators_have_the_same_resamples(scores, judgments):
    same = scores.assign(uncertainty=scores.groupby("query_id")["uncertainty"].transform("first"))
    table = compare_with_judgments(same, judgments, SPEC, seed=3).set_index(KEYS).xs("published", level="protocol")
    one, two = (table.xs(name, level="estimator") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    other = compare_with_judgments(same, judgments, SPEC, seed=4).set_index(KEYS).xs("published", level="protocol")
    pd.testing.assert_series_equal(other["value"], table["value"])
    assert (other["low"] != table["low"]).any()


def test_uncertainty_equal_to_ambiguity_has_ideal_statistics(scores, judgments):
    crowd = judgments[judgments["source"] == "crowd"]
    most = crowd[~crowd["labelled"]].groupby("caption_id")["relevance"].max()
    captions = scores[scores["direction"] == "t2i"]
    captions = captions.assign(uncertainty=captions["query_id"].map(most).fillna(0.0) * 7 + 1)
    table = compare_with_judgments(captions, crowd, SPEC, seed=0).groupby("statistic")["value"].first()
    assert table["spearman_max"] == pytest.approx(1)
    assert table["auroc"] == 1
    assert table["uncertainty_ambiguous"] == pytest.approx(8)
    assert compare_with_judgments(captions.assign(uncertainty=-captions["uncertainty"]), crowd, SPEC, 0)[
        "value"
    ].min() == pytest.approx(-8)


def test_undefined_statistics_have_the_uninformative_value_or_no_row(scores, judgments):
    constant = compare_with_judgments(scores.assign(uncertainty=1.0), judgments, SPEC, seed=0).groupby("statistic")[
        "value"
    ]
    assert set(constant.get_group("spearman_max")) == set(constant.get_group("spearman_mean")) == {0.0}
    assert set(constant.get_group("auroc")) == set(constant.get_group("relevant_misses_auroc")) == {0.5}
    irrelevant = compare_with_judgments(scores, judgments.assign(relevance=0.0, relevant=False), SPEC, seed=0)
    assert "uncertainty_ambiguous" not in set(irrelevant["statistic"])
    assert set(irrelevant[irrelevant["statistic"].isin(["auroc", "relevant_misses_auroc"])]["value"]) == {0.5}
    all_hit = compare_with_judgments(scores.assign(hit=True), judgments, SPEC, seed=0)
    assert not all_hit["statistic"].str.contains("misses").any()
    assert np.isfinite(pd.concat([irrelevant, all_hit])[["value", "low", "high"]]).all(axis=None)


def test_one_query_has_finite_statistics(scores, judgments):
    one = scores[(scores["query_id"] == judgments["image_id"].iloc[0]) & (scores["estimator"] == "one")]
    table = compare_with_judgments(one, judgments, SPEC, seed=0)
    assert set(table["n"]) == {1}
    assert np.isfinite(table[["value", "low", "high"]]).all(axis=None)


def test_invalid_input_is_rejected(scores, judgments):
    with pytest.raises(OvertopError, match="no query of the scores has a judged other item"):
        compare_with_judgments(scores.assign(query_id="x"), judgments, SPEC, seed=0)
    with pytest.raises(OvertopError, match="no query of the scores has a judged other item"):
        compare_with_judgments(scores, judgments[judgments["labelled"]], SPEC, seed=0)
    with pytest.raises(OvertopError, match="uncertainty of query number 0 is nan"):
        compare_with_judgments(scores.assign(uncertainty=np.nan), judgments, SPEC, seed=0)
