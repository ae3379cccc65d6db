"""The columns of the tables of every run, and of confidence models."""

from overtop.columns.column import AS_UNCERTAINTY, Column, count, flag, number, share, text
from overtop.confidence import answer_blocks, operating, transfer
from overtop.estimators import scoring
from overtop.evaluation import comparison, recall, reranking
from overtop.pipeline import paths
from overtop.pipeline.table_columns import TableColumns, with_intervals
from overtop.storage import split
from overtop.tables import rows

_METHOD = ["dataset", "posterior", "kind", "architecture"]
_GROUP = ["direction", "estimator", "protocol", "positives"]
_BANK = [*reranking.COLUMNS, "bank", "bank_fingerprint"]
_ECCV = [*with_intervals(["eccv_recall_at_1"]), "n_eccv_queries"]
_IF_ECCV = "with `extended: [eccv]` only"
_LEVEL = {
    "recall_at_1": share("Recall@1 of the queries of the level"),
    "n_queries": count("queries of the level"),
    "low": number("smallest uncertainty of the level: its lower edge, or that of a query", AS_UNCERTAINTY),
    "high": number("largest uncertainty of the level", AS_UNCERTAINTY),
}
_REMAINING = {"recall_at_1": share("Recall@1 of the queries that remain")}
_GUARANTEE = {
    "confidence": share("probability that the guarantee holds, and level of the interval of `achieved`"),
    "coverage": share("share of the queries of the evaluated split that are answered"),
}
_BIN = {
    "n_queries": count("queries of the bin"),
    "p_right": share("mean probability of the queries of the bin"),
    "accuracy": share("share of right top-1 in the bin"),
    "coverage": share("share of the queries with at least the probability `p_right`"),
    "level": share("level of the intervals"),
}
_RECALL = {"verdict": text("whether recall is within 0.5 points of the published one", "ok, off, no reference")}
CALIBRATION_CURVES = TableColumns(
    paths.fill(paths.CURVES, kind="calibration"),
    "a level of uncertainty that is not empty",
    [*_METHOD, *_GROUP, "binning", "level", "low", "high", "mean_uncertainty", "n_queries", "recall_at_1"],
    own=_LEVEL,
)
REJECTION_CURVES = TableColumns(
    paths.fill(paths.CURVES, kind="rejection"),
    "a number of rejected queries",
    [*_METHOD, *_GROUP, "n_rejected", "fraction_rejected", "recall_at_1", "oracle_recall_at_1"],
    own=_REMAINING,
)
TRANSFER_BINS = TableColumns(
    f"{paths.TRANSFER}-bins.csv",
    "a bin of a reliability diagram, or a point of its coverage curve",
    transfer.BIN_COLUMNS,
    own=_BIN,
)

RESULT_TABLES = (
    TableColumns(
        f"{paths.TABLE}.csv",
        "a data set, direction, posterior, estimator, protocol, binning and set of positives",
        [*rows.COLUMNS, *_BANK, "members_off", "members_unchecked"],
        {
            "with `reference:` only": ["paper_spearman", "paper_r2", "paper_neg_sr2", "diff_neg_sr2"],
            _IF_ECCV: _ECCV,
        },
    ),
    TableColumns(
        paths.METRICS,
        "a direction, estimator, protocol, binning and set of positives",
        [*rows.COLUMNS, *_BANK],
        {_IF_ECCV: _ECCV},
    ),
    TableColumns(paths.SCORES, "a query, estimator and protocol", scoring.COLUMNS, {_IF_ECCV: ["hit_eccv"]}),
    CALIBRATION_CURVES,
    REJECTION_CURVES,
    TableColumns(
        f"{paths.DIFFERENCES}.csv",
        "a panel, measure and pair of methods",
        comparison.COLUMNS,
        own={
            "difference": number("measure of the first method minus that of the second"),
            "verdict": text(
                "what becomes of the paper's difference; empty where it has none", "survives, reversed, not shown, tie"
            ),
        },
    ),
    TableColumns(
        paths.OPERATING,
        "a direction, estimator, protocol, set of positives, form and target",
        ["dataset", "posterior", *operating.COLUMNS],
        own=_GUARANTEE,
    ),
    TableColumns(
        f"{paths.ANSWER}.parquet",
        "a query",
        answer_blocks.SCHEMA.names,
        note=" and .csv; also what `overtop trust` writes",
    ),
    TableColumns(
        f"{paths.TRANSFER}.csv",
        "a data set, direction, estimator and fit",
        transfer.COLUMNS,
        own={
            "brier": number("mean of (p_right - hit)²; ideal 0", "0 to 1"),
            "nll": number("mean negative log-probability of what happened; ideal 0", "nats"),
        },
    ),
    TableColumns(
        f"{paths.TRANSFER}-thresholds.csv",
        "a data set, direction, estimator and target",
        transfer.THRESHOLD_COLUMNS,
        own=_GUARANTEE,
    ),
    TRANSFER_BINS,
    TableColumns(
        paths.RECALL,
        "a direction and k",
        recall.RECALL_COLUMNS,
        own=_RECALL,
    ),
    TableColumns(
        paths.MEMBERS,
        "an encoder, direction and k, of all encoders of a table",
        recall.RECALL_COLUMNS,
        own=_RECALL,
    ),
    TableColumns(
        paths.SPLIT,
        "a caption, or an image without one",
        split.SCHEMA.names,
        {
            "of variants": ["absent"],
            _IF_ECCV: [each.name for each in split.ECCV_FIELDS],
        },
        own={
            "positives": Column("list of texts", "", "images that are known to match the caption"),
            "level": text("how precise the caption is, if the data set has such levels"),
            "absent": flag("whether image and captions are missing from the galleries"),
        },
    ),
    TableColumns(paths.SPLIT, "an image", split.CLASSES_SCHEMA.names, note=" of data sets of classes"),
    TableColumns(
        f"{paths.GALLERY}/items.parquet",
        "an item of the gallery",
        ["item_id", "first", "group"],
        {"offsets of a bank, one column per normalisation": []},
    ),
)
"""Those that most people read come first."""
