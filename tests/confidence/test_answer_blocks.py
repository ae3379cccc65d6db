"""Answers in blocks; the scripts' tests have the numbers."""

import numpy as np
import pandas as pd
import pytest

from overtop.confidence.answer_blocks import SCHEMA, AnswerFiles, answer_blocks, check_encoders
from overtop.confidence.answering import COLUMNS
from overtop.confidence.fitting import fit_model
from overtop.confidence.model import ModelFacts
from overtop.errors import OvertopError
from overtop.retrieval.prepared import prepare_gallery
from overtop.retrieval.sources import SelectedItems
from overtop.storage.shards import ArraySource
from overtop.storage.tables import read_table, read_table_metadata

TYPES = {"query": str, "top1": str, "act": bool, "warning": str}


@pytest.fixture
def gallery():
    return prepare_gallery(ArraySource([np.eye(6)], list("abcdef")), encoder="e (1)")


@pytest.fixture
def model(gallery):
    u = np.linspace(0, 1, 200)
    facts = ModelFacts(6, gallery_fingerprint=gallery.fingerprint, encoder="e (1)", dims=(6,))
    return fit_model({"max_softmax": u}, 1 - u, u < 0.5, precisions=[0.9], facts=facts)


def make_queries(count):
    return ArraySource([np.random.default_rng(0).normal(size=(count, 6))])


class Counted(SelectedItems):
    """Records how many items are read at a time."""

    def __init__(self, source):
        super().__init__(source, np.arange(source.n_items))
        self.largest = 0

    def read(self, sample, start, stop):
        self.largest = max(self.largest, stop - start)
        return super().read(sample, start, stop)


def test_no_more_than_a_block_of_queries_is_read_at_a_time(model, gallery):
    queries = Counted(make_queries(25))
    parts = list(answer_blocks(model, gallery, queries, block=10))
    assert [len(part) for part in parts] == [10, 10, 5]
    assert queries.largest == 10
    whole = next(answer_blocks(model, gallery, queries))
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_progress_ends_with_the_number_of_queries(model, gallery):
    calls = []
    list(answer_blocks(model, gallery, make_queries(5), block=2, progress=lambda *call: calls.append(call)))
    assert calls == [(2, 5), (4, 5), (5, 5)]


def test_no_queries_are_an_error(model, gallery):
    with pytest.raises(OvertopError, match="there are no queries; give at least one"):
        next(answer_blocks(model, gallery, SelectedItems(make_queries(2), np.array([], dtype=int))))


def test_files_have_the_columns_of_answers_and_count_them(tmp_path, model, gallery):
    with AnswerFiles(tmp_path / "a.parquet", tmp_path / "a.csv") as files:
        for part in answer_blocks(model, gallery, make_queries(7), block=3):
            files.write(part)
        files.describe({"provenance": "{}"})
    assert SCHEMA.names == COLUMNS
    table = read_table(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.csv")["p_right"].tolist() == pytest.approx(table["p_right"].tolist())
    assert (files.n_queries, files.n_acted) == (7, table["act"].sum())
    assert read_table_metadata(tmp_path / "a.parquet") == {"provenance": "{}"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.csv.sha256", "a.csv", "a.parquet"]


def test_drift_is_that_of_all_blocks_together(tmp_path, model, gallery):
    """Each half of the queries is unlike the labelled ones, both together are not."""
    similarity = np.linspace(0, 1, 400)
    with AnswerFiles(tmp_path / "a.parquet", tmp_path / "a.csv") as files:
        for half in np.split(similarity, 2):
            files.write(pd.DataFrame(dict.fromkeys(COLUMNS, half)).astype(TYPES))
        assert files.batch_warnings(model, gallery) == []
        files.write(pd.DataFrame(dict.fromkeys(COLUMNS, similarity[200:])).astype(TYPES))
        assert "unlike the labelled ones" in files.batch_warnings(model, gallery)[0]


def test_unknown_encoder_is_named_and_another_one_refused(model, gallery):
    assert check_encoders(model, gallery, "e (1)") == []
    assert check_encoders(model, gallery, None) == ["the encoder of the queries is unknown; it must be e (1)"]
    with pytest.raises(
        OvertopError, match=r"queries: the embeddings are of encoder 'e \(2\)', but 'e \(1\)' is needed"
    ):
        check_encoders(model, gallery, "e (2)")
    other = prepare_gallery(ArraySource([np.eye(6)]), encoder="e (2)")
    with pytest.raises(OvertopError, match=r"gallery: the embeddings are of encoder 'e \(2\)'"):
        check_encoders(model, other, "e (1)")
    with pytest.raises(OvertopError, match="gallery: the confidence model: was fitted with embeddings of dimensions"):
        check_encoders(model, prepare_gallery(ArraySource([np.eye(5)])), None)
