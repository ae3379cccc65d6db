"""A small document, made by hand: two panels, three methods each, a dozen query cards, and one of everything else."""

import base64
import io

import numpy as np
from PIL import Image

from overtop.report.document import (
    NO_THUMBNAIL,
    Calibration,
    Column,
    Document,
    Download,
    Gallery,
    Measured,
    Method,
    Panel,
    PosteriorCurve,
    Provenance,
    QueryCards,
    Table,
    Verdict,
)

COLOURS = ("crimson", "darkorange", "gold", "seagreen", "royalblue", "orchid")
CAPTIONS = [f"a {colour} square on a white ground" for colour in COLOURS]
NASTY = "a sign that says </script><b>\"50 % & more\"</b>\u2028and 'less' — 日本語"
QUERIES = 12
ESTIMATORS = (("max_softmax", "Max softmax"), ("top1_similarity", "Top-1 similarity"), ("margin", "Margin"))
PANELS = {
    "t2i": ("shapes/test/t2i", "Shapes, text to image (1,000 queries)"),
    "i2t": ("shapes/test/i2t", "Shapes, image to text (200 queries)"),
}


def example_document() -> Document:
    """The document; equal in every call."""
    return Document(
        name="example",
        title="Example report",
        rebuild="snakemake results/reports/example.html",
        verdicts=[
            Verdict(
                *PANELS["t2i"],
                [
                    "R@1 is 0.700 [0.660, 0.740]: the top-1 is right for 70 % of 1,000 queries.",
                    "Max softmax can answer 40 % [31 %, 49 %] of the queries at R@1 0.9.",
                ],
            ),
            Verdict(
                *PANELS["i2t"],
                [
                    "R@1 is 0.010 [0.000, 0.020], which is not above chance (1 in 200).",
                    "So nothing else that is shown of this data set and direction means anything.",
                ],
            ),
        ],
        warnings=["Shapes, image to text: R@1 is not above chance (1 in 200).", f"Item skipped: {NASTY}."],
        panels=[panel("t2i", 1000, 0.7), panel("i2t", 200, 0.01)],
        tables=[table(paper=True), table(paper=False)],
        queries=[cards("t2i"), cards("i2t")],
        thumbnails=[thumbnail(colour) for colour in COLOURS],
        robustness=[robustness()],
        answers=[answers()],
        downloads=[
            Download("example.csv", "results/tables/example.csv", 'caption,aurc\n"a ""red"" square",0.1\n'),
            Download("shapes.parquet", "results/scores/shapes/test/shapes.parquet", None),
        ],
        provenance=[
            Provenance("Configuration", [("datasets.shapes", "{kind: shapes, shards: 1}"), ("seed", "0")]),
            Provenance("Versions", [("overtop", "0.4.0"), ("Python", "3.11")]),
        ],
    )


def thumbnail(colour: str) -> str:
    """A data URI of a square."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, format="WEBP", quality=50)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def panel(direction: str, n_queries: int, recall: float) -> Panel:
    """A panel with two posteriors; 20 coverages."""
    identifier, title = PANELS[direction]
    coverage = [step / 20 for step in range(1, 21)]
    answered = [-(-step * n_queries // 20) for step in range(1, 21)]
    return Panel(
        id=identifier,
        title=title,
        dataset="shapes",
        direction=direction,
        setup="corrected protocol; labelled positives",
        coverage=coverage,
        posteriors=[
            PosteriorCurve(
                "shapes", "deterministic", n_queries, interval(recall), answered, oracle(answered, n_queries, recall)
            ),
            PosteriorCurve(
                "shapes-dropout",
                "MC dropout",
                n_queries,
                interval(recall / 2),
                answered,
                oracle(answered, n_queries, recall / 2),
            ),
        ],
        methods=[
            method("shapes", *ESTIMATORS[0], answered, recall, 0.9, is_default=True),
            method("shapes", *ESTIMATORS[1], answered, recall, 0.6, is_default=True),
            method("shapes-dropout", *ESTIMATORS[2], answered, recall / 2, 0.4, is_default=False),
        ],
    )


def interval(value: float, width: float = 0.02) -> Measured:
    """A value with an interval."""
    return round(value, 6), round(max(value - width, 0), 6), round(min(value + width, 1), 6)


def oracle(answered: list[int], n_queries: int, recall: float) -> list[float]:
    """Precision if all hits are answered first."""
    return [round(min(1, n_queries * recall / count), 4) for count in answered]


def method(
    posterior: str,
    estimator: str,
    label: str,
    answered: list[int],
    recall: float,
    skill: float,
    *,
    is_default: bool,
) -> Method:
    """A method whose precision falls linearly to R@1; the calibration of Margin is not defined."""
    share = np.array(answered) / answered[-1]
    precision = recall + (1 - share) * skill * (1 - recall)
    half_width = 0.02 / np.sqrt(share)
    is_defined = estimator != "margin"
    return Method(
        id=f"{posterior}/{estimator}",
        posterior=posterior,
        estimator=estimator,
        label=label,
        source="Hendrycks and Gimpel 2017, maximum softmax probability" if is_default else "overtop",
        definition="largest value of softmax(s / T) over the gallery",
        is_default=is_default,
        measures={
            "aurc": interval(0.3 - skill / 10),
            "auroc": interval(0.5 + skill / 3),
            "coverage": interval(0.4),
            "rejection_auc": interval(0.8),
            "neg_sr2": interval(0.9) if is_defined else (None, None, None),
        },
        errors=[round(float(number), 1) for number in (1 - precision) * answered],
        low=[round(float(end), 4) for end in np.clip(precision - half_width, 0, 1)],
        high=[round(float(end), 4) for end in np.clip(precision + half_width, 0, 1)],
        calibration=Calibration([0, 1, 2], [0.9, 0.6, 0.2], [600, 300, 20] if is_defined else [1, 0, 0]),
    )


def table(*, paper: bool) -> Table:
    """Six methods, three per direction; one undefined number and one star."""
    columns = [
        Column("panel", "Data set", "The data set and the direction of retrieval."),
        Column("estimator", "Estimator", "What is measured of a query."),
        Column("posterior", "Posterior", "How embeddings are sampled."),
        Column("recall_at_1", "R@1", "Share of queries whose top-1 is right.", "interval", 3, "high"),
        Column("aurc", "AURC", "Area under the risk-coverage curve; ideal 0.", "interval", 3, "low"),
        Column("starred", "*", "AURC differs from that of Top-1 similarity (Holm-adjusted p < 0.05).", "mark"),
        Column("neg_sr2", "−S·R²", "Calibration; ideal 1.", "interval", 2, "high"),
    ]
    if paper:
        columns.append(Column("paper_neg_sr2", "paper", "The paper's −S·R².", "paper", 2, "high"))
    columns.append(Column("n_queries", "Queries", "Number of queries.", "number", 0))
    rows = {
        "panel": [title for title in ("Shapes, text to image", "Shapes, image to text") for _ in range(3)],
        "estimator": [label for _, label in ESTIMATORS] * 2,
        "posterior": ["deterministic", "deterministic", "MC dropout"] * 2,
        "recall_at_1": [interval(value) for value in (0.7, 0.7, 0.35, 0.01, 0.01, 0.005)],
        "aurc": [interval(value) for value in (0.1, 0.2, 0.3, 0.9, 0.91, 0.95)],
        "starred": [True, False, False, False, False, False],
        "neg_sr2": [interval(0.9), interval(0.5), (None, None, None), interval(-0.2), interval(0.1), interval(0)],
        "paper_neg_sr2": [0.85, None, None, 0.1, None, None],
        "n_queries": [1000] * 3 + [200] * 3,
    }
    shown = {column.key for column in columns}
    return Table(
        name="example" if paper else "example-published",
        title="example, corrected protocol" if paper else "example, published protocol",
        note="In brackets: bootstrap intervals, resampled by image.",
        columns=columns,
        rows={key: cells for key, cells in rows.items() if key in shown},
    )


def cards(direction: str) -> QueryCards:
    """Twelve queries in the order of their uncertainty; captions of images that the page must escape."""
    numbers = range(QUERIES)
    own = [number % len(COLOURS) for number in numbers]
    hit = [number % 3 != 2 for number in numbers]
    top = [
        [(item + (0 if is_hit else 1) + place) % 6 for place in range(5)] for item, is_hit in zip(own, hit, strict=True)
    ]
    texts, thumbnails = [*CAPTIONS[:-1], NASTY], list(range(len(COLOURS)))
    none, blank = [NO_THUMBNAIL] * 6, [""] * 6
    is_text = direction == "t2i"
    share = [number / QUERIES for number in numbers]
    return QueryCards(
        panel=PANELS[direction][0],
        posterior="shapes",
        sample="12 of 1,000 queries, drawn with seed 0; the most and the least certain hits and misses are among them.",
        estimators=list(ESTIMATORS[:2]),
        id=[f"{COLOURS[item]}#{number}" for number, item in enumerate(own)],
        text=[(texts if is_text else blank)[item] for item in own],
        thumbnail=[(none if is_text else thumbnails)[item] for item in own],
        hit=hit,
        level=[("exact", "vague")[number % 2] if is_text else "" for number in numbers],
        top=top,
        similarity=[[round(0.3 - 0.01 * place, 4) for place in range(5)] for _ in numbers],
        positive=[
            [1 if item == mine else 2 if item == 3 else 0 for item in items]
            for items, mine in zip(top, own, strict=True)
        ],
        answer=[item if number else -1 for number, item in enumerate(own)],
        rank=[items.index(item) + 1 if item in items else None for items, item in zip(top, own, strict=True)],
        share={"max_softmax": share, "top1_similarity": share[::-1]},
        gallery=Gallery(
            id=[f"{colour}.png" if is_text else f"{colour}#0" for colour in COLOURS],
            text=blank if is_text else texts,
            thumbnail=thumbnails if is_text else none,
        ),
    )


def robustness() -> Table:
    """A study of two models."""
    return Table(
        name="scenes",
        title="Robustness of scenes: average over 2 data sets (400 images)",
        note="Accuracy in percent on the clean images and under each attack.",
        columns=[
            Column("model", "Model", "How the encoder was trained."),
            Column("clean", "clean", "Accuracy in percent.", "interval", 1, "high"),
            Column("pgd", "pgd", "Accuracy in percent under the attack.", "interval", 1, "high"),
        ],
        rows={
            "model": ["CLIP", "TeCoA"],
            "clean": [(80.0, 75.0, 85.0), (70.0, 65.0, 75.0)],
            "pgd": [(0.0, 0.0, 1.0), (40.0, 35.0, 45.0)],
        },
    )


def answers() -> Table:
    """Answers to two queries."""
    return Table(
        name="photos",
        title="Answers of photos: act on 1 of 2 queries (50 %) at precision 0.9, by max_softmax",
        note="Promise: with confidence 0.95 at least 90 % of these are right.",
        columns=[
            Column("query", "Query", "The new query."),
            Column("top1", "Top-1", "The best item of the gallery."),
            Column("p_right", "P(right)", "Probability that the top-1 is right.", "number", 2, "high"),
            Column("act", "Act", "Whether the probability that is promised is reached.", "mark"),
            Column("warning", "Warning", "Why an answer may not be trusted."),
        ],
        rows={
            "query": ["a red square", NASTY],
            "top1": ["crimson.png", "gold.png"],
            "p_right": [0.97, 0.31],
            "act": [True, False],
            "warning": ["", "unlike the queries that the model was fitted on"],
        },
    )
