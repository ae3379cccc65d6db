"""How the results of a report were made: configuration, versions, encoders and splits."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from overtop import labels
from overtop.report.document import Provenance
from overtop.storage.split import Split

PACKAGES = ("overtop", "torch", "open_clip_torch", "snakemake", "numpy", "pillow")
"""Packages whose versions are shown, besides that of Python."""

Facts = Mapping[str, Any]
"""The provenance of scores: encoders, samples, skipped items."""


def configuration(entries: Mapping[str, Any]) -> Provenance:
    """The declared values of everything that is shown.

    Args:
        entries: by place in config.yaml, such as `posteriors.shapes`, the declared values.
    """
    rows = [(place, json.dumps(values, ensure_ascii=False)) for place, values in entries.items()]
    return Provenance("Configuration", rows)


def versions() -> Provenance:
    """The versions of the software that made the page."""
    rows = [("Python", platform.python_version()), *((name, version(name)) for name in PACKAGES)]
    return Provenance("Versions", rows)


def encoders(facts: Mapping[tuple[str, str, str], Facts]) -> Provenance:
    """Each encoder behind the results once: what determines its embeddings.

    Args:
        facts: by data set, split and posterior.
    """
    described: dict[tuple[str, str], None] = {}
    for of_posterior in facts.values():
        for encoder in of_posterior["encoders"]:
            described[encoder["name"], _describe(encoder)] = None
    return Provenance("Encoders", list(described))


def _describe(encoder: Mapping[str, Any]) -> str:
    """Its facts but the name; `versions` of libraries as one of them."""
    parts = []
    for key, value in encoder.items():
        if key == "name" or value is None:
            continue
        if isinstance(value, Mapping):
            value = ", ".join(f"{name} {number}" for name, number in value.items())
        parts.append(f"{key.replace('_', ' ')}: {value}")
    return "; ".join(parts) or "imported embeddings"


def posteriors(facts: Mapping[tuple[str, str, str], Facts]) -> Provenance:
    """The samples of each posterior on each split, and the bank of its estimators."""
    rows = []
    for names, of_posterior in facts.items():
        text = labels.format_count(of_posterior["samples"], "sample")
        if "bank" in of_posterior:
            text += f"; bank {of_posterior['bank']['label']} ({of_posterior['bank']['fingerprint']})"
        rows.append(("/".join(names), text))
    return Provenance("Posteriors", rows)


def splits(read: Mapping[tuple[str, str], tuple[Split, str]]) -> Provenance:
    """The size and the digest of each split.

    Args:
        read: by data set and split, the split and the digest of its file.
    """
    rows = []
    for names, (split, digest) in read.items():
        images = labels.format_count(len(split.image_ids), "image")
        noun = "class" if split.is_classes else "caption"
        rows.append(("/".join(names), f"{images}, {labels.format_count(len(split.captions), noun)}; sha256 {digest}"))
    return Provenance("Splits", rows)
