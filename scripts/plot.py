"""Draw one declared figure for print and screen, with every plotted number beside it.

Reads: results/curves and results/metrics of the figure's table or posteriors, or results/cascades.
Writes: results/figures/{figure}.pdf, .png, .csv.
"""

import pandas as pd
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from overtop.config.figures import CascadeFigure, CurveFigure, FigureSpec, SensitivityFigure
from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.calibration import calibration_figure, calibration_numbers
from overtop.figures.cascade import cascade_figure
from overtop.figures.rejection import rejection_figure, rejection_numbers
from overtop.figures.sensitivity import sensitivity_figure, sensitivity_numbers, settings_of
from overtop.pipeline.job import Job, run
from overtop.storage.files import write_table

DRAW = {
    "calibration": (calibration_numbers, calibration_figure),
    "rejection": (rejection_numbers, rejection_figure),
}


def main(job: Job) -> None:
    """Draw one figure."""
    spec = TypeAdapter(FigureSpec).validate_python(job.params.spec)
    match spec:
        case CascadeFigure():
            numbers, figure = of_cascade(job)
        case SensitivityFigure():
            numbers, figure = of_sensitivity(job, spec)
        case CurveFigure():
            numbers, figure = of_curves(job, spec)
    write_table(job.output.csv, numbers)
    style.save(figure, job.output.pdf, job.output.png)


def of_cascade(job: Job) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of a cascade."""
    parts = {name: pd.read_csv(job.input[name]) for name in ("curve", "spent")}
    numbers = pd.concat([rows.assign(panel=name) for name, rows in parts.items()], ignore_index=True)
    return numbers, cascade_figure(**parts)


def of_sensitivity(job: Job, spec: SensitivityFigure) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of one estimator under posteriors that differ in one thing."""
    curves, metrics = read(job, spec, [spec.estimator])
    settings = settings_of(spec.rates, spec.passes, job.params.values)
    return sensitivity_numbers(curves, metrics, settings), sensitivity_figure(curves, metrics, settings)


def of_curves(job: Job, spec: CurveFigure) -> tuple[pd.DataFrame, Figure]:
    """The numbers and the figure of a table's curves."""
    curves, metrics = read(job, spec, spec.estimators)
    numbers, draw = DRAW[spec.kind]
    return numbers(curves, metrics), draw(curves, metrics)


def read(job: Job, spec: CurveFigure | SensitivityFigure, estimators: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the curves and of the metrics that a figure shows."""
    curves, metrics = (chosen(paths, spec, estimators) for paths in (job.input.curves, job.input.metrics))
    if curves.empty:
        raise OvertopError(
            f"figures.{job.wildcards.figure}: nothing was measured that it asks for; name estimators that were scored"
        )
    return curves, metrics


def chosen(paths: list[str], spec: CurveFigure | SensitivityFigure, estimators: list[str]) -> pd.DataFrame:
    """The rows of some tables that are of these estimators (all, if none is named) and of the figure's setup."""
    rows = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    kept = (rows["protocol"] == spec.protocol) & (rows["positives"] == spec.positives)
    if "binning" in rows:
        kept &= rows["binning"] == spec.binning
    if estimators:
        kept &= rows["estimator"].isin(estimators)
    return rows[kept]


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
