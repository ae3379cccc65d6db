"""`calibrate`, `prepare` and `answer` as the pipeline runs them: shards or files of embeddings in, answers out."""

import json
import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.answer_inputs import ENCODER, TEMPERATURE, RandomSplit, write_results
from helpers.scripts import load_script
from overtop.confidence import answer_blocks
from overtop.confidence.answering import COLUMNS
from overtop.confidence.model import read_models
from overtop.errors import OvertopError
from overtop.pipeline.answer_job import names_of_texts
from overtop.storage.shards import read_provenance, write_shard
from overtop.storage.split import split_from_labels, write_split
from overtop.storage.tables import read_table_metadata

calibrate, prepare, answer = (load_script(name) for name in ("calibrate", "prepare", "answer"))

N_IMAGES, PRECISION = 200, 0.8
BANK = {"dataset": "d", "split": "train", "size": None, "seed": 0, "label": "d/train"}


class Answer:
    """The jobs of one answer: texts that look for images, in the gallery of the labelled split."""

    def __init__(self, folder, estimator="max_softmax"):
        self.folder = folder
        self.labelled = RandomSplit(folder / "val", N_IMAGES, seed=0)
        self.bank = RandomSplit(folder / "train", 50, seed=1) if estimator == "bank_nnn" else None
        self.new = RandomSplit(folder / "new", 30, seed=0)  # other captions of the first labelled images
        self.common = {"passes": None, "temperature": TEMPERATURE, "bank": BANK if self.bank else None, "seed": 0}
        self.gallery = {"embeddings": self.labelled.shards("image"), "split": self.labelled.manifest}
        self.queries = {"embeddings": self.new.shards("text"), "split": self.new.manifest}
        self.gallery_spec = {"dataset": "d", "split": "val", "modality": "image"}
        self.query_spec = {"dataset": "new", "split": "all", "modality": "text"}
        self.direction = "t2i"
        self._calibrate(estimator)

    def _job(self, output, inputs, **params):
        return SimpleNamespace(
            input=SimpleNamespace(**inputs, temperatures=[]),
            output=output,
            params=SimpleNamespace(**self.common | params),
            wildcards=SimpleNamespace(dataset="d", split="val", posterior="p"),
            config={"mirror": str(self.folder)},
        )

    def _calibrate(self, estimator):
        shards = {modality: self.labelled.shards(modality) for modality in ("image", "text")}
        if self.bank is not None:
            shards |= {f"bank_{modality}": self.bank.shards(modality) for modality in ("image", "text")}
        files = write_results(self.labelled, self.bank)
        params = {"candidates": [estimator], "precisions": [PRECISION, 0.9], "confidence": 0.9, "mapping": "auto"}
        calibrate.main(self._job([self.folder / "model.json"], files | shards, **params))

    @property
    def model(self):
        return read_models(self.folder / "model.json")[self.direction]

    def prepare(self):
        bank = self.bank.shards("text") if self.bank else []
        params = {"direction": self.direction, "source": self.gallery_spec}
        prepare.main(self._job([self.folder / "gallery"], self.gallery | {"bank": bank}, **params))

    def answer(self):
        """Run `answer` and return its table and its provenance."""
        output = SimpleNamespace(parquet=self.folder / "answers.parquet", csv=self.folder / "answers.csv")
        inputs = {"model": self.folder / "model.json", "gallery": self.folder / "gallery"}
        texts = (self.queries if self.direction == "t2i" else self.gallery)["split"]
        inputs |= self.queries | {"texts": texts}
        params = {"direction": self.direction, "source": self.query_spec, "precision": PRECISION}
        answer.main(self._job(output, inputs, **params, dirichlet=TEMPERATURE["dirichlet"]))
        return pd.read_parquet(output.parquet), json.loads(read_table_metadata(output.parquet)["provenance"])

    def run(self):
        self.prepare()
        return self.answer()


def unit(rows):
    """Unit vectors in float64."""
    rows = np.asarray(rows, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def jobs(tmp_path):
    return Answer(tmp_path)


def test_answers_are_those_of_a_plain_softmax_in_float64(jobs):
    table, facts = jobs.run()
    assert list(table) == COLUMNS
    cosine = unit(jobs.new.embeddings["text"]) @ unit(jobs.labelled.embeddings["image"]).T
    probability = np.exp(cosine / TEMPERATURE["softmax"])
    expected = 1 - probability.max(axis=1) / probability.sum(axis=1)
    assert table["query"].tolist() == jobs.new.ids["text"]
    assert table["top1"].tolist() == [jobs.labelled.ids["image"][row] for row in cosine.argmax(axis=1)]
    np.testing.assert_allclose(table["similarity"], cosine.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(table["uncertainty"], expected, atol=1e-5)
    np.testing.assert_allclose(table["p_right"], jobs.model.mapping.probability(table["uncertainty"].to_numpy()))
    threshold = jobs.model.threshold(PRECISION).threshold
    assert table["act"].tolist() == (table["uncertainty"] < threshold).tolist()
    assert 0 < table["act"].sum() < len(table)
    assert (facts["queries"], facts["acted"]) == (len(table), table["act"].sum())


def test_csv_has_the_same_answers(jobs):
    table, _ = jobs.run()
    csv = pd.read_csv(jobs.folder / "answers.csv", dtype={"warning": str}, keep_default_na=False)
    pd.testing.assert_frame_equal(csv, table, check_dtype=False)


def test_promise_and_summary_are_logged(jobs, caplog):
    caplog.set_level(logging.INFO)
    table, facts = jobs.run()
    assert facts["promise"].startswith("with probability 0.9, at least 80 % of the answers that are acted on are right")
    assert f"act on {table['act'].sum()} of {len(table)} queries: {facts['promise']}" in caplog.text
    assert facts["warnings"] == []


def test_answers_do_not_depend_on_the_block_of_queries(jobs, monkeypatch):
    table, facts = jobs.run()
    csv = (jobs.folder / "answers.csv").read_bytes()
    blocks = answer_blocks.answer_blocks

    def in_blocks_of_seven(*arguments, **options):
        return blocks(*arguments, **options, block=7)

    monkeypatch.setattr(answer, "answer_blocks", in_blocks_of_seven)
    again, facts_again = jobs.answer()
    np.testing.assert_allclose(again["uncertainty"], table["uncertainty"], rtol=1e-6)
    assert again.drop(columns=["uncertainty", "p_right", "similarity"]).equals(
        table.drop(columns=["uncertainty", "p_right", "similarity"])
    )
    assert (jobs.folder / "answers.csv").read_bytes().count(b"\n") == csv.count(b"\n")
    assert facts_again == facts


def test_failed_answer_leaves_no_file(jobs, monkeypatch):
    jobs.prepare()
    monkeypatch.setattr(answer_blocks, "tabulate_answers", lambda *_, **__: pytest.fail("stopped"))
    with pytest.raises(pytest.fail.Exception):
        jobs.answer()
    assert [path.name for path in jobs.folder.iterdir() if "answers" in path.name] == []


def test_images_ask_for_texts_in_the_other_direction(jobs):
    """Captions of one image are one answer: their probabilities are summed."""
    jobs.direction = "i2t"
    jobs.gallery |= {"embeddings": jobs.labelled.shards("text")}
    jobs.queries |= {"embeddings": jobs.new.shards("image")}
    table, facts = jobs.run()
    assert facts["warnings"] == []
    cosine = unit(jobs.new.embeddings["image"]) @ unit(jobs.labelled.embeddings["text"]).T
    probability = np.exp(cosine / TEMPERATURE["softmax"])
    probability /= probability.sum(axis=1, keepdims=True)
    group = jobs.labelled.image_of_caption
    own = np.array(
        [row[group == group[top]].sum() for row, top in zip(probability, cosine.argmax(axis=1), strict=True)]
    )
    np.testing.assert_allclose(table["uncertainty"], 1 - own, atol=1e-5)


def test_bank_of_the_model_is_used(tmp_path):
    jobs = Answer(tmp_path, "bank_nnn")
    table, facts = jobs.run()
    images, bank, queries = (
        unit(rows)
        for rows in (
            jobs.labelled.embeddings["image"], jobs.bank.embeddings["text"], jobs.new.embeddings["text"],
        )
    )  # fmt: skip
    popularity = np.sort(images @ bank.T, axis=1)[:, -16:].mean(axis=1)
    cosine = queries @ images.T
    probability = np.exp((cosine - 0.75 * popularity) / TEMPERATURE["softmax"])
    probability /= probability.sum(axis=1, keepdims=True)
    expected = 1 - probability[np.arange(len(cosine)), cosine.argmax(axis=1)]
    np.testing.assert_allclose(table["uncertainty"], expected, atol=1e-5)
    assert facts["estimator"] == "bank_nnn"


def test_gallery_of_other_images_promises_nothing(jobs):
    other = RandomSplit(jobs.folder / "other", 40, seed=3)
    jobs.gallery = {"embeddings": other.shards("image"), "split": other.manifest}
    table, facts = jobs.run()
    assert facts["promise"].startswith("nothing is promised: the model was fitted with another gallery")
    assert any("this is not the gallery" in warning for warning in facts["warnings"])
    assert len(table) == 60


def test_embeddings_of_a_file_are_answered(jobs):
    """Queries and gallery in .npy files of the mirror: same numbers, items named by row, encoder unknown."""
    table, _ = jobs.run()
    np.save(jobs.folder / "gallery.npy", jobs.labelled.embeddings["image"])
    np.save(jobs.folder / "queries.npy", jobs.new.embeddings["text"])
    jobs.gallery = {"embeddings": [jobs.folder / "gallery.npy"], "split": []}
    jobs.queries = {"embeddings": [jobs.folder / "queries.npy"], "split": []}
    jobs.gallery_spec = {"location": "gallery.npy", "modality": "image"}
    jobs.query_spec = {"location": "queries.npy", "modality": "text"}
    of_files, facts = jobs.run()
    np.testing.assert_array_equal(of_files["uncertainty"], table["uncertainty"])
    assert of_files["query"].tolist() == [str(row) for row in range(60)]
    rows = {name: row for row, name in enumerate(jobs.labelled.ids["image"])}
    assert of_files["top1"].tolist() == [str(rows[name]) for name in table["top1"]]
    unknown = f"the encoder of the gallery and of the queries is unknown; it must be {jobs.model.facts.encoder}"
    assert facts["warnings"][0] == unknown


def test_texts_without_ids_are_named_by_themselves(jobs):
    """Of numbered queries the table has the text, so that it can be read without the file they came from."""
    new = RandomSplit(jobs.folder / "numbered", 30, seed=0)
    captions = [f"query {i}" for i in range(60)]
    write_split(new.manifest, replace(new.split, caption_ids=[str(i) for i in range(60)], captions=captions))
    rows, shard = new.embeddings["text"], new.shards("text")[0]
    write_shard(shard, rows[None], [str(i) for i in range(60)], np.ones(60, bool), read_provenance(shard))
    jobs.queries = {"embeddings": [shard], "split": new.manifest}
    table, _ = jobs.run()
    assert table["query"].tolist() == captions


def test_queries_of_another_encoder_are_refused(jobs):
    new = RandomSplit(jobs.folder / "new2", 5, seed=4, encoder=ENCODER | {"checkpoint_sha256": "4567"})
    jobs.queries = {"embeddings": new.shards("text"), "split": new.manifest}
    jobs.prepare()
    with pytest.raises(OvertopError, match=r"queries: the embeddings are of encoder 'e \(\w+\)', but"):
        jobs.answer()


def test_gallery_with_another_bank_is_refused(tmp_path):
    jobs = Answer(tmp_path, "bank_nnn")
    jobs.bank = RandomSplit(tmp_path / "elsewhere", 50, seed=9)
    jobs.prepare()
    with pytest.raises(
        OvertopError, match="bank_nnn needs the bank that the model was fitted with, and this is another"
    ):
        jobs.answer()


def test_bank_of_another_encoder_is_refused(tmp_path):
    jobs = Answer(tmp_path, "bank_nnn")
    jobs.bank = RandomSplit(tmp_path / "elsewhere", 50, seed=9, encoder=ENCODER | {"checkpoint_sha256": "4567"})
    with pytest.raises(OvertopError, match=r"bank: the embeddings are of encoder 'e \(\w+\)', but 'e"):
        jobs.prepare()


def test_classes_are_named_by_themselves(tmp_path):
    split = split_from_labels(["0", "1"], ["", ""], [[1], [0]], ["a cat", "a dog"], ["{c}"])
    write_split(tmp_path / "split.parquet", split)
    assert names_of_texts(tmp_path / "split.parquet") == {"0": "a cat", "1": "a dog"}


def test_texts_with_ids_and_embeddings_keep_their_names(jobs):
    assert names_of_texts(jobs.labelled.manifest) == {}
    assert names_of_texts([]) == {}
