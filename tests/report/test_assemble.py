import json

import numpy as np
import pandas as pd
import pytest

from overtop.errors import OvertopError
from overtop.evaluation.inputs import HIT_COLUMNS
from overtop.report.assemble import make_document
from overtop.report.document import NO_THUMBNAIL, as_json
from overtop.report.page import render_page
from report.inputs import ESTIMATORS, SmallWorld

MEASURES = ("aurc", "auroc", "coverage", "rejection_auc", "neg_sr2")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return SmallWorld(tmp_path_factory.mktemp("world"), posteriors=("p", "q"), has_levels=True, decimals=2)


@pytest.fixture(scope="module")
def document(world):
    return make_document(world.results(), world.settings())


def test_same_results_give_the_same_page_with_any_number_of_threads(world, document):
    again = make_document(world.results(), world.settings(threads=3))
    assert as_json(again) == as_json(document)
    assert render_page(again) == render_page(document)


def test_measures_of_panels_and_tables_are_those_of_the_csv(world, document):
    table = world.table().query("protocol == 'corrected' and binning == 'equal_width' and positives == 'labelled'")
    rows = table.set_index(["direction", "posterior", "estimator"])
    shown = {}
    for panel in document.panels:
        for method in panel.methods:
            row = rows.loc[panel.direction, method.posterior, method.estimator]
            for name in MEASURES:
                numbers = (row[name], row[f"{name}_low"], row[f"{name}_high"])
                assert method.measures[name] == tuple(None if np.isnan(n) else n for n in numbers)
            shown[panel.direction, method.posterior, method.estimator] = method
    assert set(shown) == set(rows.index)
    (of_table,) = document.tables
    assert sorted(of_table.rows["aurc"]) == sorted(method.measures["aurc"] for method in shown.values())
    assert of_table.rows["starred"] == (rows.loc[rows.index, "p_holm"] < 0.05).loc[_table_order(rows)].tolist()


def _table_order(rows):
    order = rows.sort_values("aurc", kind="stable").reset_index()
    return pd.MultiIndex.from_frame(
        pd.concat([order[order["direction"] == d] for d in ("t2i", "i2t")])[["direction", "posterior", "estimator"]]
    )


def test_errors_at_each_coverage_are_counted_from_the_scores(world, document):
    for panel in document.panels:
        posteriors = {posterior.id: posterior for posterior in panel.posteriors}
        for method in panel.methods:
            scores = world.scores(method.posterior)
            chosen = (scores["direction"] == panel.direction) & (scores["protocol"] == "corrected")
            queries = scores[chosen & (scores["estimator"] == method.estimator)].sort_values("uncertainty")
            uncertainty, miss = queries["uncertainty"].to_numpy(), 1 - queries["hit"].to_numpy(dtype=int)
            for answered, errors in zip(posteriors[method.posterior].answered, method.errors, strict=True):
                below, tied = uncertainty < uncertainty[answered - 1], uncertainty == uncertainty[answered - 1]
                expected = miss[below].sum() + (answered - below.sum()) * miss[tied].mean()
                assert errors == pytest.approx(expected, abs=0.005)


def test_last_coverage_is_all_queries_with_the_interval_of_recall(document):
    for panel in document.panels:
        posteriors = {posterior.id: posterior for posterior in panel.posteriors}
        for method in panel.methods:
            posterior = posteriors[method.posterior]
            value, low, high = posterior.recall_at_1
            assert (panel.coverage[-1], posterior.answered[-1]) == (1, posterior.n_queries)
            assert 1 - method.errors[-1] / posterior.n_queries == pytest.approx(value, abs=1e-6)
            assert (method.low[-1], method.high[-1]) == pytest.approx((low, high), abs=1e-4)
            assert posterior.oracle[-1] == pytest.approx(value, abs=1e-4)


def test_bins_are_those_of_the_calibration_curve(world, document):
    curves = {p: world.evaluation(p).calibration for p in world.posteriors}
    for panel in document.panels:
        for method in panel.methods:
            bins = curves[method.posterior].query(
                "direction == @panel.direction and estimator == @method.estimator and protocol == 'corrected' and "
                "binning == 'equal_width' and positives == 'labelled'"
            )
            assert method.calibration.count == bins["n_queries"].tolist()
            assert method.calibration.recall == pytest.approx(bins["recall_at_1"].tolist(), abs=1e-6)


def test_defaults_are_fixed_estimators_of_the_first_posterior(document):
    for panel in document.panels:
        defaults = {method.id for method in panel.methods if method.is_default}
        assert defaults == {"p/top1_similarity", "p/max_softmax"}
    assert [cards.posterior for cards in document.queries] == ["p", "p"]
    assert document.queries[0].estimators[0] == ("max_softmax", "Max softmax")


def test_cards_show_the_ranking_the_scores_and_the_split(world, document):
    rankings, scores = world.rankings("p"), world.scores("p")
    for cards, direction in zip(document.queries, ("t2i", "i2t"), strict=True):
        ranking = rankings[direction]
        of_direction = scores.query("direction == @direction and protocol == 'corrected'")
        for number, query in enumerate(cards.id):
            row = ranking.query_ids.index(query)
            names = [cards.gallery.id[item] for item in cards.top[number]]
            assert names == [ranking.gallery_ids[item] for item in ranking.top_ids[row, :5]]
            assert cards.similarity[number] == pytest.approx(ranking.top_scores[row, :5].tolist(), abs=1e-4)
            assert [mark == 1 for mark in cards.positive[number]] == [_image(n) == _image(query) for n in names]
            assert _image(cards.gallery.id[cards.answer[number]]) == _image(query)
            for estimator in ESTIMATORS:
                queries = of_direction.query("estimator == @estimator").set_index("query_id")
                own = queries.loc[query]
                assert cards.hit[number] == own["hit"]
                assert cards.rank[number] == (own["rank"] if np.isfinite(own["rank"]) else None)
                more_certain = (queries["uncertainty"] < own["uncertainty"]).mean()
                assert cards.share[estimator][number] == pytest.approx(more_certain, abs=1e-4)


def _image(name):
    return name.partition("#")[0]


def test_thumbnails_are_stored_once_and_their_files_are_verified(world, document):
    t2i, i2t = document.queries
    assert len(set(document.thumbnails)) == len(document.thumbnails)
    used = {*t2i.gallery.thumbnail, *i2t.thumbnail}
    assert used == set(range(len(document.thumbnails)))
    assert {*t2i.thumbnail, *i2t.gallery.thumbnail} == {NO_THUMBNAIL}
    assert all(uri.startswith("data:image/webp;base64,") for uri in document.thumbnails)
    names = {*t2i.gallery.id, *i2t.id}
    assert {f"raw/d/test/{name}.png" for name in names} <= set(world.requested)


def test_missing_image_is_one_error_that_names_it(tmp_path):
    world = SmallWorld(tmp_path)
    (world.folder / world.split.image_paths[3]).unlink()
    with pytest.raises(OvertopError, match=r"image-3\.png"):
        make_document(world.results(), world.settings(queries=40))


def test_images_without_files_have_no_thumbnails(tmp_path):
    world = SmallWorld(tmp_path, has_files=False)
    document = make_document(world.results(), world.settings())
    assert document.thumbnails == world.requested == []
    t2i, i2t = document.queries
    assert {*t2i.gallery.thumbnail, *i2t.thumbnail} == {NO_THUMBNAIL}
    assert i2t.id[0].startswith("image-")


def test_levels_are_those_of_captions(document):
    t2i, i2t = document.queries
    assert set(t2i.level) == {"exact", "vague"}
    assert set(i2t.level) == {""}


def test_known_matches_that_are_not_labelled_are_marked(tmp_path):
    world = SmallWorld(tmp_path, has_extended=True)
    cards = make_document(world.results(), world.settings(queries=40)).queries[0]
    marks = {}
    for query, items, of_query in zip(cards.id, cards.top, cards.positive, strict=True):
        own = int(_image(query).removeprefix("image-"))
        for item, mark in zip(items, of_query, strict=True):
            offset = (int(cards.gallery.id[item].removeprefix("image-")) - own) % 20
            marks.setdefault(offset, set()).add(mark)
    assert (marks.pop(0), marks.pop(1)) == ({1}, {2})
    assert set().union(*marks.values()) == {0}


def test_one_query_in_each_direction_is_enough(tmp_path):
    world = SmallWorld(tmp_path, n_images=1)
    document = make_document(world.results(), world.settings())
    assert [panel.coverage for panel in document.panels] == [[0.5, 1], [1]]
    assert [cards.sample for cards in document.queries] == ["All 2 queries.", "The only query."]
    assert "no query is wrong" in " ".join(document.warnings)
    assert render_page(document)


def test_equal_similarities_are_a_warning(tmp_path):
    world = SmallWorld(tmp_path, decimals=1)
    scores = world.scores("p").query("direction == 't2i' and estimator == 'margin' and protocol == 'corrected'")
    warnings = make_document(world.results(), world.settings()).warnings
    assert any(
        f"the two best items of {scores['tied'].sum()} of 40 queries are equally similar" in line for line in warnings
    )


def test_recall_at_chance_says_that_nothing_else_means_anything(tmp_path):
    world = SmallWorld(tmp_path, skill=-1.0)
    document = make_document(world.results(), world.settings())
    for verdict in document.verdicts:
        assert "not above chance" in verdict.sentences[0]
        assert verdict.sentences[1] == "Nothing else that is shown of this data set and direction means anything."
    assert sum("R@1 is not above chance" in line for line in document.warnings) == 2


@pytest.mark.parametrize(
    "caption", ["</script><script>alert(1)</script>", "\"quotes\" & 'more' \u2028", "<!-- <script>"]
)
def test_captions_cannot_leave_the_data_of_the_page(tmp_path, caption):
    world = SmallWorld(tmp_path, n_images=2, captions=(caption,))
    document = make_document(world.results(), world.settings())
    assert caption in document.queries[0].text
    page = render_page(document)
    assert caption not in page
    assert page.count("<script") == render_page(
        make_document(SmallWorld(tmp_path, n_images=2).results(), world.settings())
    ).count("<script")
    assert caption in json.loads(as_json(document))["queries"][0]["text"]


def test_report_without_cards_reads_no_images(tmp_path):
    world = SmallWorld(tmp_path)
    document = make_document(world.results(), world.settings(queries=0))
    assert document.queries == document.thumbnails == world.requested == []
    assert len(document.panels) == 2


def test_report_without_tables_has_no_panels(tmp_path):
    document = make_document(
        SmallWorld(tmp_path).results(tables={}, facts={}, splits={}), SmallWorld(tmp_path).settings()
    )
    assert (document.panels, document.verdicts, document.tables) == ([], [], [])
    assert [group.title for group in document.provenance] == ["Configuration", "Versions"]


def test_provenance_names_encoders_splits_and_configuration(document):
    rows = {group.title: dict(group.rows) for group in document.provenance}
    assert rows["Configuration"]["tables.small"] == '{"datasets": ["d"]}'
    assert rows["Splits"]["d/test"] == f"20 images, 40 captions; sha256 {'0' * 64}"
    assert rows["Encoders"]["tiny-0"] == "architecture: tiny; checkpoint sha256: 0123; versions: torch 2"
    assert {"overtop", "Python", "torch", "open_clip_torch", "snakemake"} <= set(rows["Versions"])


def test_large_file_is_named_and_a_small_one_contained(tmp_path):
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_text("a\n1\n")
    large.write_text("a" * 600_000)
    world = SmallWorld(tmp_path, n_images=2)
    document = make_document(world.results(files=[small, large]), world.settings())
    assert [download.text for download in document.downloads] == ["a\n1\n", None]
    assert document.downloads[1].path == str(large)


def test_corrected_labelled_hits_are_shown_where_there_are_others(tmp_path):
    world = SmallWorld(tmp_path, has_extended=True, skill=0.05)
    (panel, _) = make_document(world.results(), world.settings()).panels
    scores = world.scores("p").query("direction == 't2i'")
    assert panel.setup == "corrected protocol; labelled positives"
    assert panel.posteriors[0].recall_at_1[0] == pytest.approx(scores[HIT_COLUMNS["labelled"]].mean(), abs=1e-6)
