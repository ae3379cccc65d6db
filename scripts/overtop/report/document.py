"""The document of a report: everything that its page shows, as plain values.

`as_json` gives what the page reads. Long lists are column-wise. A number that is not defined is None. Shares,
precisions and R@1 are in [0, 1]. Texts are plain, to be escaped by the page.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Number = float | None
"""A number, or None where it is not defined."""

Measured = tuple[Number, Number, Number]
"""A measure with the ends of its interval: value, low, high."""

ColumnKind = Literal["text", "number", "interval", "paper", "mark"]
"""What the cells of a column are: a text, a number, `Measured`, the paper's number of the column before, or a bool."""

NO_THUMBNAIL = -1
"""In place of the index of a thumbnail where there is none: a text, or an image without a file."""


@dataclass(frozen=True)
class Verdict:
    """What a reader wants to know first of one data set and direction.

    Attributes:
        panel: id of the panel.
        title: of the panel.
        sentences: R@1; what its uncertainty is good for; and what is promised, if operating points were computed.
    """

    panel: str
    title: str
    sentences: list[str]


@dataclass(frozen=True)
class PosteriorCurve:
    """A posterior in a panel: what does not depend on the estimator.

    Attributes:
        id: name in config.yaml.
        label: display name.
        n_queries: Q, number of queries.
        recall_at_1: R@1 of all queries.
        answered: (K,) number of queries that are answered at each coverage of the panel.
        oracle: (K,) largest precision that any uncertainty could have, hits answered first.
    """

    id: str
    label: str
    n_queries: int
    recall_at_1: Measured
    answered: list[int]
    oracle: list[float]


@dataclass(frozen=True)
class Calibration:
    """R@1 by level of uncertainty, from the most certain level to the least.

    Attributes:
        level: 0, 1, ...
        recall: R@1 of the queries of the level.
        count: number of these queries.
    """

    level: list[int]
    recall: list[float]
    count: list[int]


@dataclass(frozen=True)
class Method:
    """An estimator of a posterior in a panel, and what answering its most certain queries achieves.

    Attributes:
        id: `POSTERIOR/ESTIMATOR`, unique in a panel.
        posterior: id of its posterior.
        estimator: name in config.yaml.
        label: display name of the estimator.
        source: the publication of its definition.
        definition: of the confidence, Markdown without links.
        is_default: whether the page shows it at first: the first posterior, and an estimator fixed beforehand.
        measures: by name (`aurc`, `auroc`, `coverage`, `rejection_auc`, `neg_sr2`), as in the table.
        errors: (K,) wrong ones of the answered queries; where the last of them have equal uncertainty, the expected
            number over all orders of these. The precision is 1 - errors / answered.
        low: (K,) lower end of the interval of the precision, at this coverage alone.
        high: (K,) upper end.
        calibration: its bins of equal width.
    """

    id: str
    posterior: str
    estimator: str
    label: str
    source: str
    definition: str
    is_default: bool
    measures: dict[str, Measured]
    errors: list[float]
    low: list[float]
    high: list[float]
    calibration: Calibration


@dataclass(frozen=True)
class Panel:
    """The curves of one data set and direction.

    Attributes:
        id: `DATASET/SPLIT/DIRECTION`.
        title: display name with the number of queries.
        dataset: name in config.yaml.
        direction: `t2i` or `i2t`.
        setup: which protocol and positives the numbers are of.
        coverage: (K,) shares of queries to answer, ascending up to 1: the positions of the slider. At each, a posterior
            answers the smallest number of queries that is not a smaller share.
        posteriors: in the order of the table.
        methods: the best AURC first.
    """

    id: str
    title: str
    dataset: str
    direction: str
    setup: str
    coverage: list[float]
    posteriors: list[PosteriorCurve]
    methods: list[Method]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: of its cells in `Table.rows`.
        label: heading.
        meaning: one sentence, for the explanation of the heading.
        kind: of its cells.
        decimals: to show.
        better: which numbers are better, for the first direction of sorting; empty if neither is.
    """

    key: str
    label: str
    meaning: str
    kind: ColumnKind = "text"
    decimals: int = 3
    better: Literal["low", "high", ""] = ""


@dataclass(frozen=True)
class Table:
    """A sortable table.

    Attributes:
        name: unique in the document.
        title: heading.
        note: what its numbers are, and warnings.
        columns: in order.
        rows: by key of a column its cells, in the order to show at first.
    """

    name: str
    title: str
    note: str
    columns: list[Column]
    rows: dict[str, list[Any]]


@dataclass(frozen=True)
class Gallery:
    """The items of a gallery that some query card shows, column-wise.

    Attributes:
        id: names.
        text: captions or class names; empty for images.
        thumbnail: indices into `Document.thumbnails`, or `NO_THUMBNAIL`.
    """

    id: list[str]
    text: list[str]
    thumbnail: list[int]


@dataclass(frozen=True)
class QueryCards:
    """Sampled queries of a panel, column-wise, the most certain first.

    Attributes:
        panel: id of the panel.
        posterior: id of the posterior that ranked the items: the first of the panel.
        sample: which queries these are, one sentence.
        estimators: estimator and display name of each entry of `share`, the default estimator first.
        id: names of the queries.
        text: captions; empty for images.
        thumbnail: indices into `Document.thumbnails`, or `NO_THUMBNAIL`.
        hit: whether the top-1 is right.
        level: level of ambiguity; empty strings if the data set has none.
        top: (5,) each, the best items, best first, as rows of `gallery`; fewer in a smaller gallery.
        similarity: of the items of `top`.
        positive: of the items of `top`: 0 no match, 1 labelled as a match, 2 known to match without being labelled.
        answer: row of `gallery` of the labelled item that ranks best; -1 if it is not in the gallery.
        rank: of that item, from 1; None if it is beyond the items that are kept.
        share: by estimator, the share of all queries of the panel that are more certain.
        gallery: the items that `top` and `answer` refer to.
    """

    panel: str
    posterior: str
    sample: str
    estimators: list[tuple[str, str]]
    id: list[str]
    text: list[str]
    thumbnail: list[int]
    hit: list[bool]
    level: list[str]
    top: list[list[int]]
    similarity: list[list[float]]
    positive: list[list[int]]
    answer: list[int]
    rank: list[int | None]
    share: dict[str, list[float]]
    gallery: Gallery


@dataclass(frozen=True)
class Provenance:
    """A group of facts on how the results were made.

    Attributes:
        title: heading.
        rows: pairs of key and value.
    """

    title: str
    rows: list[tuple[str, str]]


@dataclass(frozen=True)
class Download:
    """A file that the page offers, or names where it is too large.

    Attributes:
        name: file name.
        path: of the file in the project.
        text: its content; None if the page only names it.
    """

    name: str
    path: str
    text: str | None


@dataclass(frozen=True)
class Document:
    """Everything that the page of a report shows.

    Attributes:
        name: of the report.
        title: heading of the page.
        rebuild: the command that makes the page.
        interval_level: confidence level of the intervals of verdicts, panels and tables of methods.
        verdicts: one for each panel.
        warnings: what limits the results, one sentence each.
        panels: curves.
        tables: tables of methods, those of the default protocol first.
        queries: cards, of panels whose queries are shown.
        thumbnails: data URIs, each once.
        robustness: tables of robustness studies.
        answers: tables of answers to new queries, the promise in the note.
        downloads: the files behind the page.
        provenance: how the results were made.
    """

    name: str
    title: str
    rebuild: str
    interval_level: float = 0.95
    verdicts: list[Verdict] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    queries: list[QueryCards] = field(default_factory=list)
    thumbnails: list[str] = field(default_factory=list)
    robustness: list[Table] = field(default_factory=list)
    answers: list[Table] = field(default_factory=list)
    downloads: list[Download] = field(default_factory=list)
    provenance: list[Provenance] = field(default_factory=list)


def as_json(document: Document) -> str:
    """The document as compact JSON: valid inside `<script type="application/json">`.

    Example:
        >>> as_json(Document("demo", "<a>", "make demo"))[:37]
        '{"name":"demo","title":"\\\\u003ca>","re'
    """
    text = json.dumps(asdict(document), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
