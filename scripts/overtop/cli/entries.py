"""The text of a file of entries: YAML with comments on what was found."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from overtop.datasets.found import Found

VAL_SHARE = 0.2
"""Share of images without splits that become `val`."""

ENOUGH_FOR_VAL = 300
"""Images of `val` from which thresholds of common precisions can be promised; of fewer images half become `val`."""

SHOWN = ["top1_similarity", "max_softmax"]
"""Estimators of the figure."""

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./@-]*")
"""Texts without characters that have a meaning in YAML."""


@dataclass(frozen=True)
class Plan:
    """What is written.

    Attributes:
        name: of the data set, the table and the report.
        found: the data set.
        facts: comments, one line each.
        skip: whether unreadable images are left out.
        queries: a file of new queries; None if there is none.
    """

    name: str
    found: Found
    facts: Sequence[str]
    skip: bool
    queries: Path | None


def format_entries(plan: Plan, target: Path) -> str:
    """Return the text of the file.

    Args:
        plan: what to write.
        target: the file, which the comments name.
    """
    name = plan.name
    entry, comment = _dataset(plan)
    answers = _answers(plan)
    sections = {
        "targets:": [f"  - {file}" for file in _targets(plan, answers)],
        "datasets:": _format(name, entry, comment),
        **({} if plan.found.content == "embeddings" else _encoder(plan)),
        "tables:": _format(name, _table(plan)),
        "figures:": _format(f"{name}-rejection", {"kind": "rejection", "table": name, "estimators": SHOWN}),
        "reports:": _format(name, {"tables": [name], **({"answers": [name]} if answers else {})}),
    }
    if answers:
        whole = {key: value for key, value in entry.items() if key != "split"}
        sections["datasets:"] += _format(f"{name}-all", whole, "all pairs and the whole gallery, for answers")
        sections["answers:"] = _format(name, answers)
    comments = [*plan.facts, f"snakemake --configfile {target} builds the targets."]
    lines = [f"# {line}" for line in comments]
    return "\n".join([*lines, *(line for title, rows in sections.items() for line in [title, *rows])]) + "\n"


def _posterior(plan: Plan) -> str:
    return "imported" if plan.found.content == "embeddings" else "clip"


def _split(plan: Plan) -> str:
    """The split that is evaluated."""
    splits = plan.found.splits
    return "test" if not splits or "test" in splits else splits[0]


def _targets(plan: Plan, answers: Mapping[str, Any]) -> Iterator[str]:
    yield f"results/reports/{plan.name}.html"
    if _split(plan) == "test":
        yield f"results/operating/{plan.name}/test/{_posterior(plan)}.csv"
    if answers:
        yield f"results/answers/{plan.name}.csv"


def _encoder(plan: Plan) -> dict[str, list[str]]:
    """The sections of the encoder and its posteriors."""
    posteriors = ["  clip: {kind: deterministic, encoder: vit-b-32}"]
    if plan.found.content == "captions":
        posteriors += [
            "  # Dropout makes samples of each embedding, for further estimators, and takes 20 times as long:",
            "  # clip-dropout: {kind: mc_dropout, encoder: vit-b-32, rate: 0.2, passes: 20}",
        ]
    title = "encoders:  # any model of open_clip: its name and tag, or `checkpoint: FILE` or `hub: OWNER/NAME`"
    return {title: ["  vit-b-32: {architecture: ViT-B-32, tag: openai}"], "posteriors:": posteriors}


def _table(plan: Plan) -> dict[str, Any]:
    table: dict[str, Any] = {"datasets": [plan.name], "posteriors": [_posterior(plan)], "positives": ["labelled"]}
    return table if _split(plan) == "test" else {**table, "split": _split(plan)}


def _dataset(plan: Plan) -> tuple[dict[str, Any], str]:
    """The entry of the data set, and a comment on its splits."""
    entry, splits = dict(plan.found.entry), plan.found.splits
    if plan.skip:
        entry["on_error"] = "skip"
    if not splits:
        few = VAL_SHARE * plan.found.n_images < ENOUGH_FOR_VAL and plan.found.content != "classes"
        entry["split"] = {"val": 0.5 if few else VAL_SHARE}
        reason = f"; half of them, since thresholds need some {ENOUGH_FOR_VAL} images" if few else ""
        return entry, f"`val`: images on which thresholds are chosen{reason}"
    if "val" not in splits and "test" in splits:
        entry["held_out"] = {"val": {"of": "test", "share": VAL_SHARE}}
        return entry, "the files have no `val`, on which thresholds are chosen: a part of `test`"
    if plan.found.content == "captions" and {"val", "test"} <= {*splits}:
        entry["bank"] = {"split": "val"}
    return entry, f"splits of the files: {', '.join(splits)}"


def _answers(plan: Plan) -> dict[str, Any]:
    """The entry that answers new queries; empty if there are none, or no whole gallery of captions."""
    if plan.queries is None or plan.found.splits or plan.found.content == "classes":
        return {}
    is_array = plan.queries.suffix == ".npy"
    if is_array != (plan.found.content == "embeddings"):
        return {}
    dataset = f"{plan.name}-all"
    answers: dict[str, Any] = {
        "model": {"dataset": dataset, "split": "test", "posterior": _posterior(plan)},
        "gallery": {"dataset": dataset},
        "queries": {"embeddings" if is_array else "table": str(plan.queries)},
    }
    return {**answers, "direction": "t2i"} if is_array else answers


def _format(name: str, entry: Mapping[str, Any], comment: str = "") -> list[str]:
    """The lines of an entry in a section: a key per line, deeper values in brackets."""
    lines = [f"  {_inline(name)}:" + (f"  # {comment}" if comment else "")]
    return [*lines, *(f"    {key}: {_inline(value)}" for key, value in entry.items())]


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_inline(key)}: {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value) and yaml.safe_load(value) == value
    return value if is_plain else json.dumps(value, ensure_ascii=False)
