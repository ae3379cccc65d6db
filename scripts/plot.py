"""Draw one declared figure for print and screen, and write every plotted number.

Reads: results/curves and results/metrics of the figure's table or posteriors, or results/cascades, ablations, thinning,
predictions, training, robustness, scores, transfers.
Writes: results/figures/{figure}.pdf, .png, .csv.
"""

import pandas as pd
from pydantic import TypeAdapter

from overtop.config.figures import (
    AttackEffectFigure,
    BankFigure,
    CascadeFigure,
    ConfidenceFigure,
    FigureSpec,
    ReliabilityFigure,
    RobustnessFigure,
    ThinningFigure,
    TrainingFigure,
)
from overtop.evaluation.scored_views import read_uncertainties
from overtop.figures.bank import bank_figure
from overtop.figures.draw import (
    draw_attack_effect,
    draw_cascade,
    draw_confidence,
    draw_curves,
    draw_reliability,
    draw_robustness,
    draw_thinning,
    draw_training,
)
from overtop.figures.style import save_figure
from overtop.pipeline.job import Job, run
from overtop.storage.tables import read_table, write_table


def main(job: Job) -> None:
    """Draw one figure."""
    spec = TypeAdapter(FigureSpec).validate_python(job.params.spec)
    if isinstance(spec, CascadeFigure):
        numbers, figure = draw_cascade(read_table(job.input.curve), read_table(job.input.spent))
    elif isinstance(spec, ThinningFigure):
        numbers, figure = draw_thinning(read_table(job.input.thinning))
    elif isinstance(spec, RobustnessFigure):
        numbers, figure = draw_robustness(read_table(job.input.table), job.params.values)
    elif isinstance(spec, AttackEffectFigure):
        effects, scores = read_table(job.input.effects), read_scores(job)
        numbers, figure = draw_attack_effect(spec, effects, scores, f"figures.{job.wildcards.figure}")
    elif isinstance(spec, BankFigure):
        numbers = read_table(job.input.ablation, text_as_is=True)
        figure = bank_figure(numbers)
    elif isinstance(spec, ReliabilityFigure):
        files = zip(job.params.values, job.input.predictions, strict=True)
        predictions = pd.concat([read_table(path).assign(**view) for view, path in files], ignore_index=True)
        numbers, figure = draw_reliability(spec, predictions, f"figures.{job.wildcards.figure}")
    elif isinstance(spec, ConfidenceFigure):
        bins = read_table(job.input.bins)
        numbers, figure = draw_confidence(spec, bins, f"figures.{job.wildcards.figure}")
    elif isinstance(spec, TrainingFigure):
        numbers, figure = draw_training(zip(spec.encoders, map(read_table, job.input.logs), strict=True))
    else:
        curves, metrics = (
            pd.concat(map(read_table, paths), ignore_index=True) for paths in (job.input.curves, job.input.metrics)
        )
        place = f"figures.{job.wildcards.figure}"
        numbers, figure = draw_curves(spec, curves, metrics, job.params.values, place)
    write_table(job.output.csv, numbers)
    save_figure(figure, job.output.pdf, job.output.png)


def read_scores(job: Job) -> dict[str, dict[str, list[pd.DataFrame]]]:
    """Read the scores of a figure of an attack's effect, by model and view."""
    scores: dict[str, dict[str, list[pd.DataFrame]]] = {}
    for path, view in zip(job.input.scores, job.params.values, strict=True):
        scores.setdefault(view["model"], {}).setdefault(view["view"], []).append(read_uncertainties(path))
    return scores


if __name__ == "__main__":
    run(main)
