"""Statistics of ambiguity, held against plain definitions on the queries of every resample, one by one."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import draw_clusters
from overtop.evaluation.judgments import judge
from overtop.seeds import derive_seed

N = 16
SPEC = BootstrapSpec(resamples=100, level=0.9)
IMAGES = [f"{k}.jpg" for k in range(N)]
KEYS = ["direction", "source", "estimator", "protocol", "statistic"]


def _judgments(rng, source, pairs):
    """Two of three captions are of other images; ratings are coarse, so relevances tie."""
    image, other = rng.integers(0, N, (2, pairs))
    frame = pd.DataFrame({"image_id": [IMAGES[i] for i in image], "caption_id": [f"{IMAGES[j]}#2" for j in other]})
    frame = frame.assign(source=source, relevance=rng.integers(0, 4, pairs) / 3, n_raters=3, labelled=image == other)
    return frame.assign(relevant=frame["relevance"] > 0.9).drop_duplicates(["image_id", "caption_id"])


@pytest.fixture
def judgments():
    rng = np.random.default_rng(5)
    return pd.concat([_judgments(rng, "expert", 40), _judgments(rng, "crowd", 150)], ignore_index=True)


def _scores(rng, direction, levels=7):
    """Two captions an image, of which people judged number 2 alone; few levels of uncertainty, so they tie."""
    captions = [f"{image}#{k}" for image in IMAGES for k in (1, 2)]
    asked, gallery = (captions, IMAGES) if direction == "t2i" else (IMAGES, captions)
    own = [query.split("#")[0] for query in asked]
    frame = pd.DataFrame({"query_id": asked, "image_id": own, "direction": direction})
    frame["top1_id"] = rng.choice(gallery, len(asked))
    frame["hit"] = [top.split("#")[0] == image for top, image in zip(frame["top1_id"], own, strict=True)]
    frame = frame.assign(hit_extended=pd.array([pd.NA] * len(asked), dtype="boolean"))
    return pd.concat(
        [
            frame.assign(estimator=name, protocol=protocol, uncertainty=rng.integers(0, levels, len(asked)) / levels)
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


def _queries(scores, judgments, direction, source):
    """A dict per query with a judged other item, by loops."""
    said = judgments[(judgments["source"] == source) & ~judgments["labelled"]]
    found = []
    for _, row in scores.iterrows():
        mine = said[said["caption_id" if direction == "t2i" else "image_id"] == row["query_id"]]
        if len(mine):
            top1 = mine[mine["image_id" if direction == "t2i" else "caption_id"] == row["top1_id"]]["relevant"]
            extra = {
                "max": mine["relevance"].max(),
                "mean": round(mine["relevance"].mean(), 9),  # or equals would differ by rounding
                "some": bool(mine["relevant"].any()),
                "top1": bool(top1.iloc[0]) if len(top1) else None,
            }
            found.append({**row, **extra})
    misses = sorted((q for q in found if not q["hit"] and q["top1"] is not None), key=lambda q: q["uncertainty"])
    for query in misses:
        places = [k + 0.5 for k, other in enumerate(misses) if other["uncertainty"] == query["uncertainty"]]
        query["third"] = int(np.mean(places) / len(misses) * 3)
    return found


def _plain(queries):
    """Every statistic of a list of queries, which may hold one several times; a mean of nothing is left out."""
    uncertainty = [q["uncertainty"] for q in queries]
    with_, without = ([q["uncertainty"] for q in queries if q["some"] == some] for some in (True, False))
    misses = [q for q in queries if not q["hit"]]
    judged = [q for q in misses if q["top1"] is not None]
    means = {
        "uncertainty_ambiguous": with_,
        "uncertainty_unambiguous": without,
        "judged_misses": [q["top1"] is not None for q in misses],
        "relevant_misses": [q["top1"] for q in judged],
        **{
            f"relevant_misses_{name}": [q["top1"] for q in judged if q["third"] == number]
            for number, name in enumerate(("low", "middle", "high"))
        },
    }
    found = {name: (np.mean(values), len(values)) for name, values in means.items() if values}
    for name in ("max", "mean"):
        found[f"spearman_{name}"] = _spearman(uncertainty, [q[name] for q in queries]), len(queries)
    found["auroc"] = _auroc(with_, without), len(queries)
    sides = ([q["uncertainty"] for q in judged if q["top1"] == relevant] for relevant in (True, False))
    found["relevant_misses_auroc"] = _auroc(*sides), len(judged)
    return found


def test_values_and_intervals_are_those_of_plain_definitions(scores, judgments):
    found = judge(scores, judgments, SPEC, seed=3).set_index(KEYS)
    drawn = draw_clusters(N, SPEC.resamples, derive_seed(3, "judgments"))
    column = {image: k for k, image in enumerate(sorted(IMAGES))}
    seen = 0
    for (direction, estimator, protocol), group in scores.groupby(["direction", "estimator", "protocol"]):
        for source in ("expert", "crowd"):
            queries = _queries(group, judgments, direction, source)
            resampled = [
                _plain([q for q in queries for _ in range(int(times[column[q["image_id"]]]))]) for times in drawn
            ]
            for statistic, (value, n) in _plain(queries).items():
                row = found.loc[(direction, source, estimator, protocol, statistic)]
                assert (row["value"], row["n"]) == (pytest.approx(value), n), statistic
                values = [sample[statistic][0] for sample in resampled if statistic in sample]
                np.testing.assert_allclose((row["low"], row["high"]), np.quantile(values, [0.05, 0.95]), atol=1e-12)
                seen += 1
    assert seen == len(found)


def test_estimators_are_judged_on_the_same_resamples(scores, judgments):
    same = scores.assign(uncertainty=scores.groupby("query_id")["uncertainty"].transform("first"))
    found = judge(same, judgments, SPEC, seed=3).set_index(KEYS).xs("published", level="protocol")
    one, two = (found.xs(name, level="estimator") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    other = judge(same, judgments, SPEC, seed=4).set_index(KEYS).xs("published", level="protocol")
    pd.testing.assert_series_equal(other["value"], found["value"])
    assert (other["low"] != found["low"]).any()


def test_an_uncertainty_that_is_the_ambiguity_is_perfect(scores, judgments):
    crowd = judgments[judgments["source"] == "crowd"]
    most = crowd[~crowd["labelled"]].groupby("caption_id")["relevance"].max()
    asked = scores[scores["direction"] == "t2i"]
    asked = asked.assign(uncertainty=asked["query_id"].map(most).fillna(0.0) * 7 + 1)
    found = judge(asked, crowd, SPEC, seed=0).groupby("statistic")["value"].first()
    assert found["spearman_max"] == pytest.approx(1)
    assert found["auroc"] == 1
    assert found["uncertainty_ambiguous"] == pytest.approx(8)
    assert judge(asked.assign(uncertainty=-asked["uncertainty"]), crowd, SPEC, 0)["value"].min() == pytest.approx(-8)


def test_what_cannot_be_told_has_the_value_of_no_information_or_no_row(scores, judgments):
    constant = judge(scores.assign(uncertainty=1.0), judgments, SPEC, seed=0).groupby("statistic")["value"]
    assert set(constant.get_group("spearman_max")) == set(constant.get_group("spearman_mean")) == {0.0}
    assert set(constant.get_group("auroc")) == set(constant.get_group("relevant_misses_auroc")) == {0.5}
    nobody = judge(scores, judgments.assign(relevance=0.0, relevant=False), SPEC, seed=0)
    assert "uncertainty_ambiguous" not in set(nobody["statistic"])
    assert set(nobody[nobody["statistic"].isin(["auroc", "relevant_misses_auroc"])]["value"]) == {0.5}
    all_hit = judge(scores.assign(hit=True), judgments, SPEC, seed=0)
    assert not all_hit["statistic"].str.contains("misses").any()
    assert np.isfinite(pd.concat([nobody, all_hit])[["value", "low", "high"]]).all(axis=None)


def test_one_query_is_enough(scores, judgments):
    one = scores[(scores["query_id"] == judgments["image_id"].iloc[0]) & (scores["estimator"] == "one")]
    found = judge(one, judgments, SPEC, seed=0)
    assert set(found["n"]) == {1}
    assert np.isfinite(found[["value", "low", "high"]]).all(axis=None)


def test_wrong_input_is_one_clear_error(scores, judgments):
    with pytest.raises(OvertopError, match="no query of the scores has a judged other item"):
        judge(scores.assign(query_id="x"), judgments, SPEC, seed=0)
    with pytest.raises(OvertopError, match="no query of the scores has a judged other item"):
        judge(scores, judgments[judgments["labelled"]], SPEC, seed=0)
    with pytest.raises(OvertopError, match="uncertainty of query number 0 is nan"):
        judge(scores.assign(uncertainty=np.nan), judgments, SPEC, seed=0)
