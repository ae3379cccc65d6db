"""Measure the accuracy of the models of a study on clean and on attacked images, and check the attacks.

Reads: predictions of every encoder of the study on every data set and view (for data sets of captions its scores),
measures of images with several labels, and the shards of attacked images, which record the attacks.
Computes: accuracies with intervals, averages and harmonic means; sanity checks of the attacks.
Writes: results/robustness/{robustness}.csv, .md, .tex, and -checks.csv.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from overtop.config.attacks import AttackSpec, WorstCaseAttack
from overtop.config.evaluation import BootstrapSpec
from overtop.config.robustness import RobustnessSpec
from overtop.evaluation.attack_checks import check_attacks
from overtop.evaluation.attack_records import (
    AttackRecord,
    combine_perturbations,
    describe_attack,
    read_attack_record,
)
from overtop.evaluation.robustness import (
    DatasetHits,
    align_hits,
    combine_multilabel,
    measure_robustness,
    read_hits,
)
from overtop.evaluation.rounding import round_floats
from overtop.pipeline.job import Job, run
from overtop.storage.files import write_text
from overtop.storage.tables import read_table, write_table
from overtop.tables.published_accuracies import add_paper_columns, comparison_note
from overtop.tables.robustness import RobustnessTable, robustness_to_latex, robustness_to_markdown

Records = Mapping[tuple[str, str, str], list[AttackRecord]]
"""By data set, model and attack the records of the encoders of the model."""


def main(job: Job) -> None:
    """Write the table of one study in its three forms, and the checks of its attacks."""
    params, spec = job.params, RobustnessSpec.model_validate(job.params.spec)
    attacks = TypeAdapter(dict[str, AttackSpec]).validate_python(params.attacks)
    baseline = spec.baseline or next(iter(spec.models))
    hits, records = read_study(job), read_records(job)
    bootstrap = BootstrapSpec.model_validate(params.bootstrap)
    rows = measure_robustness(hits, bootstrap, params.seed, spec.split, baseline)
    rows = add_paper_columns(rows, spec.reference, attacks, params.objectives)
    multilabel = read_multilabel(job)
    if len(multilabel):
        rows = pd.concat([rows, multilabel], ignore_index=True)
    perturbations = {
        key: combine_perturbations([record.perturbations for record in of_key]) for key, of_key in records.items()
    }
    undefended = next(iter(spec.models))
    checks = check_attacks(hits, attacks, perturbations, frozenset(params.training_epsilons), undefended)
    table = RobustnessTable(
        job.wildcards.robustness,
        rows,
        describe_attacks(spec.attacks, records),
        harmonic_attacks(spec.attacks, attacks),
        checks,
        baseline,
        comparison_note(spec.reference, spec.datasets),
    )
    write_table(job.output.csv, round_floats(rows))
    write_table(job.output.checks, checks)
    write_text(job.output.md, robustness_to_markdown(table))
    write_text(job.output.tex, robustness_to_latex(table))


def read_study(job: Job) -> list[DatasetHits]:
    """Read the hits of all models and views, data set by data set."""
    tables: dict[str, dict[tuple[str, str], list[pd.DataFrame]]] = defaultdict(lambda: defaultdict(list))
    for path, view in zip(job.input.hits, job.params.views, strict=True):
        tables[view["dataset"]][view["model"], view["view"]].append(read_hits(path))
    return [align_hits(dataset, of_dataset) for dataset, of_dataset in tables.items()]


def read_multilabel(job: Job) -> pd.DataFrame:
    """Read the measures of images with several labels."""
    tables: dict[tuple[str, str, str], list[pd.DataFrame]] = defaultdict(list)
    for path, view in zip(job.input.multilabel, job.params.multilabel_views, strict=True):
        tables[view["dataset"], view["model"], view["view"]].append(read_table(path))
    return combine_multilabel(tables)


def read_records(job: Job) -> Records:
    """Read the records of all attacks."""
    shards: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, view in zip(job.input.attacked, job.params.attacked_views, strict=True):
        shards[view["dataset"], view["model"], view["view"], view["encoder"]].append(path)
    records: dict[tuple[str, str, str], list[AttackRecord]] = defaultdict(list)
    for (dataset, model, attack, _), paths in shards.items():
        records[dataset, model, attack].append(read_attack_record(paths))
    return records


def describe_attacks(names: list[str], records: Records) -> dict[str, str]:
    """The full specification of each attack, in the order of their names."""
    by_name: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for (_, _, attack), of_key in records.items():
        by_name[attack] += [record.attack for record in of_key]
    return {name: describe_attack(by_name[name], names) for name in names}


def harmonic_attacks(names: list[str], attacks: Mapping[str, AttackSpec]) -> list[str]:
    """The attacks whose harmonic mean with the clean accuracy is shown: the worst cases, otherwise the last attack."""
    return [name for name in names if isinstance(attacks[name], WorstCaseAttack)] or names[-1:]


if __name__ == "__main__":
    run(main)
