"""The answer of a report in a few sentences per data set and direction."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from overtop import labels
from overtop.report.document import Verdict
from overtop.report.rows import PANEL, default_methods, panel_id
from overtop.tables.warnings import is_at_chance


def make_verdicts(rows: pd.DataFrame, precision: float, operating: pd.DataFrame | None = None) -> list[Verdict]:
    """One verdict for each panel, on its first posterior and the default estimator; neither is chosen by results.

    Args:
        rows: the methods of the report (`rows.default_rows`).
        precision: R@1 that the column `coverage` of tables is measured at.
        operating: operating points with the column `split`, of the posteriors that have some.
    """
    posteriors = labels.posterior_labels(rows)
    return [_judge(panel, posteriors, precision, operating) for _, panel in rows.groupby(PANEL, sort=False)]


def _judge(
    panel: pd.DataFrame, posteriors: Mapping[str, str], precision: float, operating: pd.DataFrame | None
) -> Verdict:
    row = default_methods(panel).iloc[-1]
    recall = f"R@1 is {labels.format_measure(row, 'recall_at_1')} ({posteriors[row['posterior']]})"
    title = labels.panel_title(panel, int(row["n_queries"]))
    if is_at_chance(row.to_frame().T).iloc[0]:
        sentences = [
            f"{recall}, which is not above chance (1 in {row['n_clusters']:,}).",
            "Nothing else that is shown of this data set and direction means anything.",
        ]
        return Verdict(panel_id(row), title, sentences)
    share = f"{recall}: the top-1 is right for {_percent(row['recall_at_1'])} of {row['n_queries']:,} queries."
    sentences = [share, f"{_describe_coverage(row, precision)} {_name_best(panel, row)}".strip()]
    promise = None if operating is None else _describe_promise(row, operating, precision)
    return Verdict(panel_id(row), title, [*sentences, promise] if promise else sentences)


def _describe_coverage(row: pd.Series, precision: float) -> str:
    """What can be answered at a precision, as measured on these queries."""
    name = labels.format_name(row["estimator"])
    if row["coverage"] == 0:
        return f"No threshold on {name} reaches R@1 {precision:g} on these queries."
    if row["coverage"] == 1:
        return f"All queries can be answered at R@1 {precision:g}; {name} is not needed for that."
    interval = f"[{_percent(row['coverage_low'])}, {_percent(row['coverage_high'])}]"
    text = (
        f"Answering the {_percent(row['coverage'])} {interval} of queries that {name} is most certain of keeps R@1 at "
        f"{precision:g} or above; that is measured on these queries and no promise for new ones."
    )
    return text + (" It may be none, as the interval reaches 0." if row["coverage_low"] == 0 else "")


def _name_best(panel: pd.DataFrame, row: pd.Series) -> str:
    """The estimator of the smallest AURC, if it is not the default one; of the same posterior, so of the same hits."""
    same = panel[panel["posterior"] == row["posterior"]]
    best = same.loc[same["aurc"].idxmin()]
    if best["estimator"] == row["estimator"]:
        return ""
    name, default = (labels.format_name(estimator) for estimator in (best["estimator"], row["estimator"]))
    return (
        f"Chosen on these queries, {name} has the best AURC, {labels.format_measure(best, 'aurc')}; {default} has "
        f"{labels.format_measure(row, 'aurc')}."
    )


def _describe_promise(row: pd.Series, operating: pd.DataFrame, precision: float) -> str | None:
    """What a threshold that was chosen on another split promises and achieves; None if there is none for the method."""
    keys = [*PANEL, "posterior", "estimator", "protocol", "positives"]
    points = operating[(operating[keys] == row[keys]).all(axis=1)]
    points = points[(points["form"] == "guaranteed_precision") & (points["target"] == precision)]
    if points.empty:
        return None
    point = points.iloc[0]
    chosen = f"{int(point['n_validation']):,} other queries, one per image,"
    if point["threshold"] == -np.inf:
        needed = "" if np.isinf(point["n_needed"]) else f"; at least about {point['n_needed']:,.0f} would be needed"
        return f"With {chosen} no threshold can promise R@1 {precision:g}{needed}."
    achieved = "" if pd.isna(point["achieved"]) else f", of which {_percent(point['achieved'])} are right"
    return (
        f"A threshold chosen on {chosen} promises R@1 {precision:g} with confidence {point['confidence']:g}: it "
        f"answers {_percent(point['coverage'])} of {int(point['n_test']):,} queries here{achieved}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
