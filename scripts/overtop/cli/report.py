"""What the commands print: results in a few lines, as wide as the terminal."""

import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pandas as pd

from overtop.cli.values import TrustOptions
from overtop.confidence.model import ConfidenceModel
from overtop.labels import capitalise, format_count, shorten

FIRST_ROWS = 10
"""Answers that are printed."""

LARGEST_WIDTH = 120
"""Lines are not longer than this, in characters."""

NUMBERS_WIDTH = 45
"""Characters of the printed columns with numbers and of the gaps between all columns."""

WARNING_WIDTH = 31
"""Characters for warnings, at least, if there are any."""

WIDTH_WITH_WARNINGS = 100
"""Narrower terminals do not show warnings beside the answers."""


def print_lines(lines: Iterable[str]) -> None:
    """Print lines; those that are too long for the terminal continue in further ones, which are indented."""
    for line in lines:
        print(textwrap.fill(line, terminal_width(), subsequent_indent="  ", break_on_hyphens=False))


def terminal_width() -> int:
    """Characters in a line of the terminal, at most `LARGEST_WIDTH`."""
    return min(shutil.get_terminal_size((LARGEST_WIDTH, 24)).columns, LARGEST_WIDTH)


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Print each `UserWarning` once, in one line on stderr, when the block ends without an error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for text in dict.fromkeys(str(item.message) for item in caught if issubclass(item.category, UserWarning)):
        print(f"warning: {text}", file=sys.stderr)


def describe_fit(model: ConfidenceModel, n_unlabelled: int) -> list[str]:
    """Return what a model was fitted on, how honest its probabilities are, and the coverage of each precision.

    Args:
        model: a model that was fitted to labels.
        n_unlabelled: queries without a label, which were left out.
    """
    labelled = format_count(model.n_queries, "labelled query")
    if n_unlabelled:
        labelled += f" ({n_unlabelled:,} without a label left out)"
    size = model.facts.gallery_size
    items = f", {format_count(size, 'gallery item')}" if size else ""
    lines = [f"{labelled}{items}: the top hit is right for {percent(model.n_hits / model.n_queries)}"]
    lines.append(f"uncertainty: {model.estimator}; probability: {model.mapping.kind}")
    if model.calibration is not None:
        lines[-1] += (
            f"; calibration error {model.calibration.ece.value:.3f} (of perfect probabilities, with as many queries: "
            f"{model.calibration.calibrated_ece:.3f})"
        )
    for item in model.thresholds:
        result = (
            f"act on {percent(item.coverage)} of the queries" if item.coverage else "cannot be guaranteed; act on none"
        )
        lines.append(f"precision {item.precision:g}: {result}")
    return lines


class Promising(Protocol):
    """A judge of embeddings or of result lists."""

    def promise(self, precision: float | None = None) -> str:
        """Return one sentence."""
        ...


def describe_promise(judge: Promising, what: TrustOptions) -> str:
    """Return what is promised of the answers that are acted on."""
    if what.coverage is not None:
        return "nothing is promised: a coverage only ranks the queries by their uncertainty"
    return judge.promise(what.precision)


def print_answers(answers: pd.DataFrame, promise: str, output: Path) -> None:
    """Print on how many queries to act, what is promised, where the answers are, and the first ones."""
    n_acted, n_queries = int(answers["act"].sum()), len(answers)
    n_warnings = int((answers["warning"] != "").sum())
    lines = [f"{format_count(n_queries, 'query')}: act on {n_acted:,} ({percent(n_acted / n_queries)})"]
    lines.append(capitalise(promise) + ".")
    if n_warnings:
        lines.append(f"{format_count(n_warnings, 'answer')} with a warning in the column `warning`")
    print_lines(
        [*lines, f"wrote {output}; the first of {n_queries:,} rows:" if n_queries > FIRST_ROWS else f"wrote {output}"]
    )
    print()
    print(format_first_rows(answers, terminal_width()))


def format_first_rows(answers: pd.DataFrame, width: int) -> str:
    """Return the first answers as text that is not wider than `width`; warnings are shown where there is room."""
    rows = answers.head(FIRST_ROWS)
    room = WARNING_WIDTH if (rows["warning"] != "").any() and width >= WIDTH_WITH_WARNINGS else 0
    longest_name = (width - NUMBERS_WIDTH - room) // 2
    columns = {
        "query": [shorten(str(name), longest_name) for name in rows["query"]],
        "top1": [shorten(str(name), longest_name) for name in rows["top1"]],
        "similarity": [f"{value:.3f}" for value in rows["similarity"]],
        "uncertainty": [f"{value:.3g}" for value in rows["uncertainty"]],
        "p_right": [f"{value:.2f}" for value in rows["p_right"]],
        "act": ["yes" if act else "no" for act in rows["act"]],
    }
    if room:
        columns["warning"] = [shorten(text, width - len(_align(columns)[0]) - len("  ")) for text in rows["warning"]]
    return "\n".join(line.rstrip() for line in _align(columns))


def _align(columns: dict[str, list[str]]) -> list[str]:
    """Return a header and rows: names to the left, numbers to the right."""
    widths = {name: max(len(name), *map(len, values)) for name, values in columns.items()}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    header = {name: name for name in columns}
    return [
        "  ".join(
            text.ljust(widths[name]) if name in ("query", "top1", "act", "warning") else text.rjust(widths[name])
            for name, text in row.items()
        )
        for row in [header, *rows]
    ]


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal: `18.5 %`."""
    return f"{100 * share:.1f} %"
