"""The commands on result lists of a search engine, which need neither embeddings nor torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from overtop.cli import report
from overtop.cli.commands import TABLES, check_precision
from overtop.cli.labels import read_labels
from overtop.cli.outputs import check_output
from overtop.cli.tables import read_text_columns
from overtop.cli.values import FitOptions, TopkOptions, TrustOptions
from overtop.confidence.topk_judge import TopkJudge, fit_topk, load_topk
from overtop.errors import OvertopError
from overtop.storage.tables import write_plain_table

COLUMNS = ["query", "item", "similarity"]
"""Columns of a table of result lists."""

_WHOLE_NUMBER = r"-?(0|[1-9]\d*)"


def calibrate(options: TopkOptions, relevant: Path, fit: FitOptions, output: Path) -> None:
    """Fit a confidence model on the lists of labelled queries, write it, and print what it promises."""
    check_output(output, (".json",), [options.lists, options.groups, relevant])
    labels = read_labels(relevant)
    queries, ids, scores = read_lists(options.lists)
    rows = labels.find_queries([str(name) for name in queries], f"--topk {options.lists}")
    relevant_to = dict(zip(rows.tolist(), labels.relevant.values(), strict=True))
    kind = type(ids[0][0])
    labelled = sorted(relevant_to)
    with report.warnings_in_one_line(), _place(options.lists):
        judge = fit_topk(
            [ids[row] for row in labelled],
            [scores[row] for row in labelled],
            [[_as_id(item, kind, relevant) for item in relevant_to[row]] for row in labelled],
            precision=fit.precisions,
            confidence=fit.confidence,
            estimator=fit.estimator,
            mapping=fit.mapping,
            seed=fit.seed,
            query_ids=[queries[row] for row in labelled],
            **_fit_arguments(options),
        )
    judge.save(output)
    report.print_lines([*report.describe_fit(judge.model, len(queries) - len(rows)), f"wrote {output}"])


def trust(options: TopkOptions, what: TrustOptions) -> None:
    """Answer new queries from their lists, write the answers, and print a summary."""
    check_output(what.output, TABLES, [options.lists, options.groups])
    if what.model is not None:
        check_precision(what.model, what.precision)
    queries, ids, scores = read_lists(options.lists)
    with report.warnings_in_one_line(), _place(options.lists):
        if what.model is None:
            judge = fit_topk(ids, scores, query_ids=queries, **_fit_arguments(options))
        else:
            judge = _load(what.model, options)
        answers = judge(ids, scores, precision=what.precision, coverage=what.coverage, query_ids=queries)
    write_plain_table(what.output, answers)
    report.print_answers(answers, report.describe_promise(judge, what), what.output)


def read_lists(path: Path) -> tuple[list[Any], list[list[Any]], list[list[float]]]:
    """Read a table with one row per query and item found: `query`, `item`, `similarity`, best item first.

    Ids that are whole numbers throughout a column are integers, all others are text.

    Returns:
        The ids of the queries in their order in the table, and for each the ids of its items and their similarities.

    Raises:
        OvertopError: it is no such table, or a value is missing or is no number.
    """
    table = read_text_columns(path, COLUMNS)
    for column in ("query", "item"):
        if (table[column] == "").any():
            raise OvertopError(
                f"{path}: row {_first(table[column] == '')} has no {column}; fill it in or remove the row"
            )
        if table[column].str.fullmatch(_WHOLE_NUMBER).all():
            table[column] = table[column].astype(np.int64)
    similarity = pd.to_numeric(table["similarity"], errors="coerce").astype(np.float64)
    if similarity.isna().any():
        raise OvertopError(f"{path}: similarity in row {_first(similarity.isna())} is no number; correct it")
    groups = table.assign(similarity=similarity).groupby("query", sort=False)
    lists = groups.agg({"item": list, "similarity": list})
    return lists.index.tolist(), lists["item"].tolist(), lists["similarity"].tolist()


@contextmanager
def _place(path: Path) -> Iterator[None]:
    """Put the table in front of messages about its content."""
    try:
        yield
    except OvertopError as error:
        if str(error).startswith(("ids:", "scores:")):
            raise OvertopError(f"--topk {path}: {error}") from error
        raise


def _fit_arguments(options: TopkOptions) -> dict[str, Any]:
    return {
        "n_gallery": options.gallery_size,
        "metric": options.metric or "cosine",
        "top": options.top,
        "groups": _read_groups(options.groups),
        "temperature": options.temperature,
        "encoder": options.label,
    }


def _load(model: Path, options: TopkOptions) -> TopkJudge:
    """Load a judge, and compare what it was fitted with.

    Raises:
        OvertopError: the gallery has another size, or another encoder was used.
    """
    judge = load_topk(model, groups=_read_groups(options.groups))
    facts = judge.model.facts
    if None not in (options.gallery_size, facts.gallery_size) and options.gallery_size != facts.gallery_size:
        raise OvertopError(
            f"--gallery-size {options.gallery_size}: {model} was fitted with {facts.gallery_size} items; "
            "fit it again with the lists of this gallery"
        )
    if None not in (options.label, facts.encoder) and options.label != facts.encoder:
        raise OvertopError(
            f"--encoder {options.label}: {model} was fitted with encoder {facts.encoder!r}; fit it again"
        )
    return judge


def _read_groups(path: Path | None) -> dict[Any, str] | None:
    """Return the group of each item of a table."""
    if path is None:
        return None
    table = read_text_columns(path, ["item", "group"])
    is_number = table["item"].str.fullmatch(_WHOLE_NUMBER).all()
    items = table["item"].astype(np.int64) if is_number else table["item"]
    return dict(zip(items.tolist(), table["group"], strict=True))


def _as_id(name: str, kind: type, path: Path) -> Any:
    """Return a relevant item as an id of the lists."""
    try:
        return kind(name)
    except ValueError:
        raise OvertopError(f"{path}: {name!r} is no id like those of the lists, which are whole numbers") from None


def _first(mask: pd.Series) -> int:
    return int(np.flatnonzero(mask)[0]) + 1
