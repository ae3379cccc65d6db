"""The text of a file of entries: YAML with comments on what was found."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overtop.datasets.found import Found

VAL_SHARE = 0.2
"""Share of images without splits that become `val`."""

ENOUGH_FOR_VAL = 300
"""Images of `val` from which thresholds of common precisions can be promised; of fewer images half become `val`."""

_PLAIN = re.compile(r"[A-Za-z0-9_./@-]*[A-Za-z_/][A-Za-z0-9_./@-]*")
"""Texts that YAML reads as they are."""

_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


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


def write_entries(plan: Plan, target: Path) -> tuple[str, list[str]]:
    """Return the text of the file, and the targets of its run.

    Args:
        plan: what to write.
        target: the file, which the comments name.
    """
    name, found = plan.name, plan.found
    is_imported = found.content == "embeddings"
    posteriors = ["imported"] if is_imported else ["clip"]
    answers = _answers(plan, posteriors[0])
    targets = [f"results/reports/{name}.html", *(f"results/answers/{name}.csv" for _ in answers)]
    entry, comment = _dataset(plan)
    lines = [f"# {line}" for line in plan.facts]
    lines += ["# Run:", f"#   snakemake {' '.join(targets)} --configfile {target}", "datasets:"]
    lines += _format(name, entry, comment)
    if answers:
        whole = {key: value for key, value in entry.items() if key != "split"}
        lines += _format(f"{name}-all", whole, "all pairs and the whole gallery, for answers")
    if not is_imported:
        lines += ["encoders:  # any model of open_clip: its name and tag, or `checkpoint: FILE` or `hub: OWNER/NAME`"]
        lines += ["  vit-b-32: {architecture: ViT-B-32, tag: openai}", "posteriors:"]
        lines += ["  clip: {kind: deterministic, encoder: vit-b-32}"]
        if found.content == "captions":
            lines += [
                "  # Dropout makes samples of each embedding, for further estimators, and takes 20 times as long:",
                "  # clip-dropout: {kind: mc_dropout, encoder: vit-b-32, rate: 0.2, passes: 20}",
            ]
    table: dict[str, Any] = {"datasets": [name], "posteriors": posteriors, "positives": ["labelled"]}
    if found.splits and "test" not in found.splits:
        table["split"] = "val" if "val" in found.splits else found.splits[0]
    lines += ["tables:", *_format(name, table)]
    figure = {"kind": "rejection", "table": name, "estimators": ["top1_similarity", "max_softmax"]}
    lines += ["figures:", *_format(f"{name}-rejection", figure)]
    report = {"tables": [name], **({"answers": [name]} if answers else {})}
    lines += ["reports:", *_format(name, report)]
    if answers:
        lines += ["answers:", *_format(name, answers)]
    return "\n".join(lines) + "\n", targets


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


def _answers(plan: Plan, posterior: str) -> dict[str, Any]:
    """The entry that answers new queries; empty if there are none, or no whole gallery of captions."""
    if plan.queries is None or plan.found.splits or plan.found.content == "classes":
        return {}
    is_array = plan.queries.suffix == ".npy"
    if is_array != (plan.found.content == "embeddings"):
        return {}
    dataset = f"{plan.name}-all"
    answers: dict[str, Any] = {
        "model": {"dataset": dataset, "split": "test", "posterior": posterior},
        "gallery": {"dataset": dataset},
        "queries": {"embeddings" if is_array else "table": str(plan.queries.absolute())},
    }
    return {**answers, "direction": "t2i"} if is_array else answers


def _format(name: str, entry: Mapping[str, Any], comment: str = "") -> list[str]:
    """The lines of an entry in a section: a key per line, deeper values in brackets."""
    lines = [f"  {name}:" + (f"  # {comment}" if comment else "")]
    return [*lines, *(f"    {key}: {_inline(value)}" for key, value in entry.items())]


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_inline(key)}: {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if is_plain else json.dumps(value, ensure_ascii=False)
