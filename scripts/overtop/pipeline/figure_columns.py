"""The columns of `results/figures/NAME.csv`, which has every number that a figure shows, by kind of figure."""

from collections.abc import Mapping, Sequence

from overtop.columns.column import AS_UNCERTAINTY, Column, count, number, share
from overtop.pipeline import paths
from overtop.pipeline.result_columns import CALIBRATION_CURVES, REJECTION_CURVES, TRANSFER_BINS
from overtop.pipeline.study_columns import ATTACK_EFFECTS, BANK_ABLATION, CASCADE_CURVE
from overtop.pipeline.table_columns import TableColumns, with_intervals

_SETTINGS = ["varied", "posterior", "rate", "passes"]
_QUANTILES = {f"q{q:02d}": number(f"{q} % quantile of the uncertainty", AS_UNCERTAINTY) for q in (5, 25, 50, 75, 95)}


def _figure(kind: str, rows: str, columns: Sequence[str], own: Mapping[str, Column] | None = None) -> TableColumns:
    return TableColumns(f"{paths.FIGURE}.csv", rows, columns, own=dict(own or {}), note=f" of kind `{kind}`")


FIGURE_TABLES = (
    _figure(
        "calibration",
        CALIBRATION_CURVES.rows,
        [*CALIBRATION_CURVES.columns, "neg_sr2", "share"],
        CALIBRATION_CURVES.own,
    ),
    _figure(
        "rejection",
        REJECTION_CURVES.rows,
        [*REJECTION_CURVES.columns, "n_queries", "rejection_auc", "oracle_auc"],
        REJECTION_CURVES.own,
    ),
    _figure(
        "sensitivity",
        "a setting and level of uncertainty",
        [
            *_SETTINGS,
            *(name for name in CALIBRATION_CURVES.columns if name not in _SETTINGS),
            *with_intervals(["neg_sr2", "aurc"]),
            "share",
        ],
        CALIBRATION_CURVES.own,
    ),
    _figure(
        "cascade",
        "a row of `curve.csv` or `spent.csv` of the cascade",
        [*CASCADE_CURVE.columns, "samples", "share_settled", "panel"],
    ),
    _figure("bank", BANK_ABLATION.rows, BANK_ABLATION.columns, BANK_ABLATION.own),
    _figure(
        "thinning",
        "a direction, estimator and number of queries",
        ["dataset", "direction", "posterior", "estimator", "transductive", "n_queries", *with_intervals(["auroc"])]
        + ["aurc", "n_draws"],
        {
            "auroc_low": share("lower quantile of auroc over the random subsets"),
            "auroc_high": share("upper quantile of auroc over the random subsets"),
        },
    ),
    _figure(
        "reliability",
        "a model, view, kind of probability and bin of equal width",
        [
            "dataset",
            "model",
            "view",
            "probability",
            "low",
            "high",
            "n_images",
            "confidence",
            "accuracy",
            "share",
            "ece",
        ],
        {
            "low": share("lower edge of the bin"),
            "high": share("upper edge of the bin"),
            "n_images": count("images of the bin, once for each encoder"),
            "share": share("share of the images that are in the bin"),
            "ece": share("expected calibration error, the mean over the encoders"),
        },
    ),
    _figure("training", "a point of a curve", ["encoder", "step", "epoch", "quantity", "value", "chosen"]),
    _figure(
        "robustness",
        "a data set, model and view",
        ["dataset", "model", "view", "measure", "n_images", *with_intervals(["value"]), "epsilon"],
    ),
    _figure(
        "attack_effect",
        "an estimator, set of images, model and view",
        ["dataset", "estimator", "images", "model", "view", "n_pairs", "mean", *_QUANTILES, "attack"]
        + [*with_intervals(["difference"]), "clean_sd", "verdict"],
        {**_QUANTILES, **ATTACK_EFFECTS.own},
    ),
    _figure("confidence", TRANSFER_BINS.rows, TRANSFER_BINS.columns, TRANSFER_BINS.own),
)
