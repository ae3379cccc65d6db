"""Answers of many queries against a prepared gallery, block by block: memory does not grow with their number."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from overtop.confidence.answering import batch_warnings, tabulate_answers
from overtop.confidence.galleries import check_encoder, check_model_fits_gallery, place
from overtop.confidence.model import ConfidenceModel
from overtop.confidence.queries import measure_queries
from overtop.errors import OvertopError
from overtop.progress import Progress, no_progress
from overtop.retrieval.gallery_files import PreparedGallery
from overtop.retrieval.sources import SelectedItems
from overtop.storage.shards import EmbeddingSource
from overtop.storage.tables import atomic_csv, atomic_parquet
from overtop.terms import DIRICHLET_TEMPERATURE

BLOCK_QUERIES = 2**16
"""Queries that are ranked at a time: the gallery is read once per block."""

SCHEMA = pa.schema(
    [
        ("query", pa.string()),
        ("top1", pa.string()),
        ("similarity", pa.float64()),
        ("uncertainty", pa.float64()),
        ("p_right", pa.float64()),
        ("act", pa.bool_()),
        ("warning", pa.string()),
    ]
)
"""Columns of the files of answers, those of `answering.COLUMNS`."""


def check_encoders(model: ConfidenceModel, gallery: PreparedGallery, encoder: str | None) -> list[str]:
    """Check that a model, a gallery and queries are of the same encoder, and that the gallery has the model's bank.

    Args:
        model: the confidence model.
        gallery: the prepared gallery.
        encoder: label of the encoder of the queries; None if unknown.

    Returns:
        What could not be checked, one line each.

    Raises:
        OvertopError: they differ, and answers would be meaningless.
    """
    with place("gallery"):
        check_model_fits_gallery("the confidence model", model, gallery)
    with place("queries"):
        check_encoder(model.facts.encoder or gallery.encoder, encoder)
    labels = {"the confidence model": model.facts.encoder, "the gallery": gallery.encoder, "the queries": encoder}
    known = next(filter(None, labels.values()), None)
    unknown = [name for name, label in labels.items() if label is None]
    if known is None or not unknown:
        return []
    return [f"the encoder of {' and of '.join(unknown)} is unknown; it must be {known}"]


def answer_blocks(
    model: ConfidenceModel,
    gallery: PreparedGallery,
    queries: EmbeddingSource,
    *,
    precision: float | None = None,
    dirichlet: float = DIRICHLET_TEMPERATURE,
    block: int = BLOCK_QUERIES,
    progress: Progress = no_progress,
) -> Iterator[pd.DataFrame]:
    """Yield the answers of `answering.tabulate_answers` for one block of queries after the other.

    Warnings on a batch are left to the caller, since they are on all queries (`answering.batch_warnings`).

    Args:
        model: the confidence model.
        gallery: the prepared gallery.
        queries: new queries of the same encoder.
        precision: one of the model's; by default its first.
        dirichlet: temperature of the Dirichlet estimators.
        block: queries at a time.
        progress: called after each block with the queries done and their total.

    Raises:
        OvertopError: there are no queries, they cannot be compared with the gallery, or the estimator of the model
            needs something that the gallery lacks.
    """
    if not queries.n_items:
        raise OvertopError("there are no queries; give at least one")
    gallery_ids = np.asarray(gallery.item_ids, dtype=object)
    for start in range(0, queries.n_items, block):
        stop = min(start + block, queries.n_items)
        part = SelectedItems(queries, np.arange(start, stop))
        measured = measure_queries(gallery, part, [model.estimator], dirichlet=dirichlet)
        answers = tabulate_answers(
            model,
            measured.uncertainty[model.estimator],
            measured.similarity,
            measured.ids,
            gallery_ids[measured.top1].tolist(),
            precision=precision,
            tied=measured.tied,
        )
        progress(stop, queries.n_items)
        yield answers


@dataclass
class AnswerFiles:
    """The parquet and the CSV file of answers, which are written block by block and appear when they are complete.

    Args:
        parquet: path of the parquet file.
        csv: path of the CSV file.

    Example:
        >>> with AnswerFiles("a.parquet", "a.csv") as files:  # doctest: +SKIP
        ...     for answers in answer_blocks(model, gallery, queries):
        ...         files.write(answers)
        ...     files.describe({"promise": "..."})
    """

    parquet: str | Path
    csv: str | Path
    n_queries: int = field(default=0, init=False)
    n_acted: int = field(default=0, init=False)

    def __enter__(self) -> "AnswerFiles":
        with ExitStack() as stack:
            self._parquet = stack.enter_context(atomic_parquet(self.parquet, SCHEMA))
            csv = stack.enter_context(atomic_csv(self.csv))
            self._csv = stack.enter_context(open(csv, "w", encoding="utf-8", newline=""))
            self._similarities: list[np.ndarray] = []
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.__exit__(*exc_info)  # type: ignore[arg-type]

    def write(self, answers: pd.DataFrame) -> None:
        """Append the answers of a block."""
        self._parquet.write_table(pa.Table.from_pandas(answers, SCHEMA, preserve_index=False))
        answers.to_csv(self._csv, index=False, header=not self.n_queries, lineterminator="\n")
        self._similarities.append(answers["similarity"].to_numpy())
        self.n_queries += len(answers)
        self.n_acted += int(answers["act"].sum())

    def batch_warnings(self, model: ConfidenceModel, gallery: PreparedGallery) -> list[str]:
        """Return what makes the answers as a whole doubtful, one line each."""
        return batch_warnings(model, np.concatenate(self._similarities), gallery.fingerprint)

    def describe(self, provenance: dict[str, str]) -> None:
        """Store provenance in the parquet file."""
        self._parquet.add_key_value_metadata(provenance)
