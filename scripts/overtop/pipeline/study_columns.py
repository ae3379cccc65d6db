"""The columns of the tables of studies: cascades, human judgments, classifiers, attacks, training, banks."""

from overtop.columns.column import AS_UNCERTAINTY, flag, number, share, text
from overtop.evaluation import attack_checks, attack_effects, bank_ablation, robustness, view_calibration
from overtop.pipeline import paths
from overtop.pipeline.table_columns import TableColumns, with_intervals

BANK_ABLATION = TableColumns(
    paths.BANK_ABLATION,
    "a direction, estimator, varied value and draw",
    ["dataset", "posterior", "direction", *bank_ablation.COLUMNS],
    own={"value": text("value of the varied parameter, or the source of the bank")},
)
CASCADE_CURVE = TableColumns(
    paths.fill(paths.CASCADE, part="curve"),
    "a direction, rule and share of escalated queries",
    [
        "direction",
        "rule",
        "fraction",
        "n_queries",
        "samples_per_query",
        "recall_at_1",
        *with_intervals(["aurc", "change"]),
    ],
)
ATTACK_EFFECTS = TableColumns(
    f"{paths.ATTACK_EFFECTS}.csv",
    "a data set, model, attack, estimator and set of images",
    attack_effects.COLUMNS,
    own={
        "difference": number("mean over pairs of attacked minus clean uncertainty", AS_UNCERTAINTY),
        "verdict": text("what the attack does to the uncertainty", "raises, lowers, not distinguishable"),
    },
)
STUDY_TABLES = (
    CASCADE_CURVE,
    TableColumns(
        paths.fill(paths.CASCADE, part="votes"),
        "a direction and rule, applied to all queries",
        [
            "direction",
            "rule",
            "n_queries",
            "mean_samples",
            "share_saved",
            "q05",
            "q25",
            "q50",
            "q75",
            "q95",
            "agreement",
            "consistency",
            "recall_at_1",
            "aurc",
        ],
    ),
    TableColumns(
        paths.fill(paths.CASCADE, part="spent"),
        "a direction, rule and number of samples",
        ["direction", "rule", "samples", "share_settled"],
    ),
    TableColumns(
        paths.JUDGMENTS,
        "a direction, source of judgments, estimator, protocol and statistic",
        [
            "dataset",
            "posterior",
            "split",
            "direction",
            "source",
            "estimator",
            "protocol",
            "statistic",
            "value",
            "low",
            "high",
            "n",
        ],
    ),
    TableColumns(
        paths.PREDICTIONS,
        "an image and kind of probability",
        [
            "image_id",
            "hit",
            "top1_id",
            "probability",
            "temperature",
            "confidence",
            "uncertainty",
            "nll",
            "brier",
            "entropy",
        ],
        own={
            "hit": flag("whether the class of greatest similarity is a label of the image"),
            "top1_id": text("the class of greatest similarity"),
            "confidence": share("probability of that class"),
            "uncertainty": number("negative logarithm of the confidence", "nats"),
            "nll": number("negative log-probability of the label; empty where the image has several", "nats"),
            "brier": number(
                "sum over the classes of (probability - label)²; empty where the image has several labels", "0 to 2"
            ),
        },
    ),
    TableColumns(
        paths.MULTILABEL,
        "a measure",
        ["dataset", "split", "posterior", "measure", "value", "low", "high", "n_images", "n_classes"],
    ),
    TableColumns(
        f"{paths.ROBUSTNESS}.csv",
        "a data set (or the average), model, view and measure",
        robustness.COLUMNS,
        {"where the study is compared with a paper": ["paper_value", "paper_harmonic"]},
        own={"difference": number("value minus that of the baseline in the same view; empty for the baseline")},
    ),
    TableColumns(
        f"{paths.ROBUSTNESS_CALIBRATION}.csv",
        "a data set (or the average), model, view and kind of probability",
        view_calibration.COLUMNS,
    ),
    ATTACK_EFFECTS,
    TableColumns(paths.ROBUSTNESS_CHECKS, "a check of a data set and model", attack_checks.COLUMNS),
    TableColumns(
        paths.TRAINING_LOG,
        "a training step",
        ["step", "epoch", "learning_rate", "loss", "val_clean", "val_robust", "val_score"],
        {"the terms of the objective, one column each": []},
    ),
    TableColumns(
        paths.THINNING,
        "a direction, estimator, number of queries and subset",
        ["dataset", "posterior", "direction", "estimator", "transductive", "n_queries", "draw", "auroc", "aurc"],
    ),
    BANK_ABLATION,
)
