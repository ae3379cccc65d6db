"""The sign test as Markdown: which uncertainties an attack raises or lowers, and which still find wrong answers."""

from collections.abc import Iterator, Sequence

import pandas as pd

from overtop import labels
from overtop.evaluation.attack_effects import LOWERS, MIN_IMAGES, RAISES, UNDECIDED
from overtop.evaluation.scored_views import ALL, RIGHT_BEFORE
from overtop.tables.blocks import UNDEFINED
from overtop.tables.markdown import escape, format_grid

IMAGES = {ALL: "all images", RIGHT_BEFORE: "images that were right before the attack"}
"""Display names of sets of images."""

_VERDICTS = (RAISES, LOWERS, UNDECIDED)

_INTRODUCTION = (
    "The uncertainty of an image under attack minus that of the same image when clean, in standard deviations of the "
    "clean uncertainty over the images, with the bootstrap interval of the mean (images are resampled); in bold if it "
    "differs from zero by a paired t-test after Holm's adjustment for all tests of the study (at least "
    f"{MIN_IMAGES} images). Below: AUROC of finding wrong answers by the uncertainty, clean and under attack, 0.5 "
    "being chance; a dash where all answers are right or all are wrong, as are those of the clean images that were "
    "right. APGD and worst cases keep the clean pixels of images that were wrong before or that resist; these do not "
    "change."
)


def effects_to_markdown(table: pd.DataFrame, undefended: str, early_stopped: Sequence[str] = ()) -> str:
    """How often each uncertainty is raised and lowered, then every effect.

    Args:
        table: result of `evaluation.attack_effects.add_verdicts`.
        undefended: the model that was not fine-tuned.
        early_stopped: attacks that stop at the first wrong answer.
    """
    if table.empty:
        return "There are no uncertainties to compare.\n"
    introduction = _INTRODUCTION
    if early_stopped:
        introduction += (
            f" {', '.join(early_stopped)} stop at the first wrong answer, close to the border between answers, where "
            "uncertainty is high by construction: their signs are not those of the full attack."
        )
    parts = [escape(introduction), "## How often each uncertainty is raised and lowered", _overview_note(table)]
    for attack, rows in table.groupby("attack", sort=False):
        parts += [f"### {escape(str(attack))}", _overview(rows, undefended)]
    for (dataset, attack, images), rows in table.groupby(["dataset", "attack", "images"], sort=False):
        title = f"{labels.format_name(str(dataset))}, {attack}: {IMAGES[str(images)]}"
        parts += [f"## {escape(title)}", escape(_counts(rows)), _grid(rows)]
    return "\n\n".join(parts) + "\n"


def _overview_note(table: pd.DataFrame) -> str:
    n_datasets, n_models = table["dataset"].nunique(), table["model"].nunique()
    return (
        f"Numbers of data sets and models ({labels.format_count(n_datasets, 'data set')}, "
        f"{labels.format_count(n_models, 'model')}) where the attack {RAISES} / {LOWERS} the uncertainty / is "
        f"{UNDECIDED} from no effect."
    )


def _overview(rows: pd.DataFrame, undefended: str) -> str:
    groups = {undefended: rows["model"] == undefended, "all other models": rows["model"] != undefended}
    columns = [(name, images) for name, chosen in groups.items() if chosen.any() for images in IMAGES]
    lines = []
    for estimator in labels.order_uncertainties(rows["estimator"]):
        cells = []
        for name, images in columns:
            selected = rows[groups[name] & (rows["images"] == images) & (rows["estimator"] == estimator)]
            cells.append(" / ".join(str((selected["verdict"] == verdict).sum()) for verdict in _VERDICTS))
        lines.append([escape(labels.label_uncertainty(estimator)), *cells])
    return format_grid(["Uncertainty", *(f"{escape(name)}<br>{IMAGES[images]}" for name, images in columns)], lines)


def _counts(rows: pd.DataFrame) -> str:
    """`400 images; right before the attack, pairs of image and encoder: CLIP 320, UCAT 250.`"""
    per_model = rows.drop_duplicates("model")
    pairs = ", ".join(f"{row.model} {row.n_pairs:,}" for row in per_model.itertuples())
    return f"Pairs of an image and an encoder: {pairs}."


def _grid(rows: pd.DataFrame) -> str:
    models = list(rows["model"].unique())
    by_key = rows.set_index(["estimator", "model"])
    estimators = labels.order_uncertainties(rows["estimator"])
    lines = [
        [escape(labels.label_uncertainty(estimator)), *(_cell(by_key, estimator, model) for model in models)]
        for estimator in estimators
    ]
    return format_grid(["Uncertainty", *map(escape, models)], lines)


def _cell(by_key: pd.DataFrame, estimator: str, model: str) -> str:
    if (estimator, model) not in by_key.index:
        return UNDEFINED
    row = by_key.loc[(estimator, model)]
    effect = _format_effect(row)
    if row["verdict"] != UNDECIDED:
        effect = f"**{effect}**"
    return "<br>".join(line.replace(" ", "\N{NO-BREAK SPACE}") for line in (effect, *_auroc_line(row)))


def _format_effect(row: pd.Series) -> str:
    """The difference in standard deviations with its interval: `+0.31 [0.25, 0.37]`."""
    scale = row["clean_sd"]
    if pd.isna(row["difference"]) or not scale > 0:
        return UNDEFINED
    value, low, high = (row[name] / scale for name in ("difference", "difference_low", "difference_high"))
    return f"{value:+.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def _auroc_line(row: pd.Series) -> Iterator[str]:
    clean, attacked = (
        UNDEFINED if pd.isna(row[name]) else f"{row[name]:.2f}" for name in ("auroc_clean", "auroc_attacked")
    )
    if (clean, attacked) != (UNDEFINED, UNDEFINED):
        yield f"AUROC {clean} → {attacked}"
