"""The page of a report: one HTML file that holds everything it shows, and that works offline and without a server."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from overtop.figures import style
from overtop.figures.method_styles import ESTIMATOR_STYLES
from overtop.report.document import Document, Measured, Panel, Table, as_json
from overtop.tables.blocks import format_number

FOLDER = Path(__file__).parent
"""Where the templates, the style sheet and the script are."""

_COLOUR_NAMES = {
    getattr(style, name): name.lower() for name in ("BLACK", "BLUE", "ORANGE", "GREEN", "RED", "PURPLE", "BROWN", "SKY")
}  # the style sheet has a light and a dark form of each
_OTHER_STYLE = ("black", "*")


def render_page(document: Document) -> str:
    """The HTML of a report.

    Args:
        document: what the page shows.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sheet, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    drawn = replace(document, tables=[], robustness=[], answers=[], provenance=[], verdicts=[], warnings=[])
    return environment.get_template("template.html.j2").render(
        document=document,
        policy=content_policy(sheet, script),
        sheet=sheet,
        script=script,
        data=as_json(drawn),
        styles=json.dumps(estimator_styles(document.panels)),
        estimators=estimator_definitions(document.panels),
        interval_ranges=interval_ranges,
        interval_bar=interval_bar,
        format_number=format_number,
    )


def content_policy(sheet: str, script: str) -> str:
    """A Content-Security-Policy that allows the page's own style and script and embedded images, and no request."""
    rules = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _source_hash(sheet),
        "script-src": _source_hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def estimator_styles(panels: Sequence[Panel]) -> dict[str, tuple[str, str]]:
    """The colour, by its name in the style sheet, and the marker of each estimator: those of the figures."""
    styles = {}
    for name in dict.fromkeys(method.estimator for panel in panels for method in panel.methods):
        colour, marker = ESTIMATOR_STYLES.get(name, ("", ""))
        styles[name] = (_COLOUR_NAMES[colour], marker) if colour else _OTHER_STYLE
    return styles


def estimator_definitions(panels: Sequence[Panel]) -> list[tuple[str, str, str]]:
    """Label, definition and source of each estimator, by label."""
    methods = (method for panel in panels for method in panel.methods)
    return sorted({(method.label, method.definition, method.source) for method in methods})


def interval_ranges(table: Table) -> dict[str, tuple[float, float]]:
    """The smallest and the greatest end of all intervals of each column that has some."""
    ranges = {}
    for column in table.columns:
        cells = table.rows[column.key] if column.kind == "interval" else []
        ends = [end for cell in cells if None not in cell for end in cell]
        if ends:
            ranges[column.key] = (min(ends), max(ends))
    return ranges


def interval_bar(interval: Measured, least: float, greatest: float) -> dict[str, float]:
    """Where a value and its interval are drawn, in percent of the range of their column."""
    names = ("value", "low", "high")
    width = greatest - least or 1.0
    return {
        name: round(100 * (end - least) / width, 1)
        for name, end in zip(names, interval, strict=True)
        if end is not None
    }
