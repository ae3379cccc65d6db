"""UCAT's averages next to those of a study, where they can be compared."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from overtop.config.attacks import AttackSpec, GradientAttack, WorstCaseAttack
from overtop.evaluation.robustness import AVERAGE
from overtop.reference.ucat import DATASETS, UcatTableName, further_datasets, missing_datasets, read_ucat_table
from overtop.terms import CLEAN

EPSILON, STEPS = 1, 100
"""Of the paper's attacks: in 1/255, and of PGD and CW."""

AUTO_ATTACK = {"apgd-ce", "apgd-dlr"}
"""Kinds of the attacks that the paper calls AutoAttack."""


def add_paper_columns(
    rows: pd.DataFrame,
    reference: UcatTableName | None,
    attacks: Mapping[str, AttackSpec],
    objectives: Mapping[str, str | None],
) -> pd.DataFrame:
    """Add `paper_value` and `paper_harmonic`, as shares, to the average of a study of the paper's 16 data sets.

    They are missing elsewhere: for other data sets, for attacks that are not the paper's, and without a reference.

    Args:
        rows: rows of `evaluation.robustness.measure_robustness`.
        reference: the paper's table.
        attacks: specification of each attack.
        objectives: by model, the objective of the paper's method that it corresponds to, `clip` for the encoder before
            fine-tuning, None for models that are not in the paper.
    """
    values = np.full((len(rows), 2), np.nan)
    if reference is not None and not comparison_problem(rows["dataset"].unique()):
        paper = read_ucat_table(reference)
        columns = {name: paper_column(name, attacks) for name in rows["view"].unique()}
        for i, row in enumerate(rows.itertuples()):
            column, numbers = columns[str(row.view)], paper.get(objectives.get(str(row.model)) or "")
            if row.dataset == AVERAGE and column is not None and numbers is not None:
                harmonic = numbers.get("harmonic", np.nan) if column == "aa" else np.nan
                values[i] = [numbers.get(column, np.nan) / 100, harmonic / 100]
    return rows.assign(paper_value=values[:, 0], paper_harmonic=values[:, 1])


def paper_column(view: str, attacks: Mapping[str, AttackSpec]) -> str | None:
    """The column of the paper's table that corresponds to a view; None if it was attacked in another way."""
    if view == CLEAN:
        return "clean"
    spec = attacks[view]
    if isinstance(spec, WorstCaseAttack):
        parts = [attacks[name] for name in spec.of]
        same = {part.kind for part in parts} == AUTO_ATTACK and all(
            getattr(part, "epsilon", None) == EPSILON and getattr(part, "steps", None) == STEPS for part in parts
        )
        return "aa" if same else None
    same = isinstance(spec, GradientAttack) and (spec.epsilon, spec.steps) == (EPSILON, STEPS)
    return spec.kind if same else None


def comparison_problem(datasets: Sequence[str]) -> str:
    """Why averages over these data sets cannot be compared with the paper's; empty if they can."""
    names = [name for name in datasets if name != AVERAGE]
    missing, further = missing_datasets(names), further_datasets(names)
    listed = "all of them" if len(missing) == len(DATASETS) else ", ".join(missing)
    parts = [f"{listed} are missing"] if missing else []
    parts += [f"{', '.join(further)} are not among them"] if further else []
    return "; ".join(parts)


def comparison_note(reference: UcatTableName | None, datasets: Sequence[str]) -> list[str]:
    """A sentence for the caption on the paper's numbers; none without a reference."""
    if reference is None:
        return []
    table = "table" if reference == "ucat" else "table of ablations"
    if problem := comparison_problem(datasets):
        return [
            f"UCAT's {table} is not shown: it has averages over 16 data sets, which cannot be compared with these "
            f"({problem})."
        ]
    return [
        f"Third line: the number in UCAT's {table} (arXiv 2512.12997; ViT-B/32, attacks under autocast in half "
        "precision, AutoAttack as APGD-CE and APGD-DLR)."
    ]
