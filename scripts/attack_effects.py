"""Test whether the attacks of a study raise or lower each uncertainty, and whether it still finds wrong answers.

Reads: scores of every encoder of the study on every data set and view, direction image to text.
Computes: paired differences of every estimator with intervals and tests, and AUROC clean and attacked.
Writes: results/robustness/{robustness}-uncertainty.csv and .md.
"""

from collections import defaultdict

import pandas as pd

from overtop.config.evaluation import BootstrapSpec
from overtop.config.robustness import RobustnessSpec
from overtop.evaluation.attack_effects import add_verdicts, measure_effects
from overtop.evaluation.bootstrap import bootstrap_seed, draw_cluster_weights
from overtop.evaluation.rounding import round_to_digits
from overtop.evaluation.scored_views import align_scores, read_uncertainties
from overtop.pipeline.job import Job, run
from overtop.storage.files import write_text
from overtop.storage.tables import write_table
from overtop.tables.attack_effects import effects_to_markdown
from overtop.terms import CLEAN


def main(job: Job) -> None:
    """Measure the effects of the attacks of one study."""
    spec, bootstrap = RobustnessSpec.model_validate(job.params.spec), BootstrapSpec.model_validate(job.params.bootstrap)
    paths: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, view in zip(job.input.scores, job.params.views, strict=True):
        paths[view["dataset"], view["model"]][view["view"]].append(path)
    effects = []
    for (dataset, model), of_model in paths.items():
        scores = {view: [read_uncertainties(path) for path in of_view] for view, of_view in of_model.items()}
        views = align_scores(dataset, model, scores)
        seed = bootstrap_seed(job.params.seed, dataset, spec.split)
        weights = draw_cluster_weights(views[CLEAN].hit.shape[1], bootstrap.resamples, seed)
        measured = measure_effects(views, weights, bootstrap.level, job.threads)
        effects.append(measured.assign(dataset=dataset, model=model))
    table = add_verdicts(pd.concat(effects, ignore_index=True), bootstrap.level)
    write_table(job.output.csv, round_to_digits(table))
    undefended = next(iter(spec.models))
    write_text(job.output.md, effects_to_markdown(table, undefended, job.params.early_stopped))


if __name__ == "__main__":
    run(main)
