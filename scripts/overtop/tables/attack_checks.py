"""The sanity checks of a robustness study, as Markdown and in short for the terminal."""

import pandas as pd

from overtop import labels
from overtop.evaluation.attack_checks import CHECKS, FAILED, NOT_APPLICABLE, PASSED
from overtop.tables.markdown import escape, format_grid

_RESULTS = (PASSED, FAILED, NOT_APPLICABLE)


def failed_checks(checks: pd.DataFrame) -> list[str]:
    """One line per failed check, with its numbers.

    Args:
        checks: result of `evaluation.attack_checks.check_attacks`.
    """
    return [
        f"{labels.format_name(row.dataset)}, {row.model}: not true that {CHECKS[row.check]}: {row.detail}"
        for row in checks[checks["result"] == FAILED].itertuples()
    ]


def failures_to_markdown(checks: pd.DataFrame) -> str:
    """A paragraph that all checks passed, or the list of those that failed."""
    failures = failed_checks(checks)
    if not failures:
        passed = int((checks["result"] == PASSED).sum())
        return f"All {passed} sanity checks of the attacks that apply passed."
    lines = [f"- {escape(line)}" for line in failures]
    return "\n".join(["**Failed sanity checks of the attacks:**", "", *lines])


def checks_to_markdown(checks: pd.DataFrame) -> str:
    """How often each check passed, failed, and did not apply."""
    rows = []
    for check, description in CHECKS.items():
        results = checks.loc[checks["check"] == check, "result"]
        rows.append([description[0].upper() + description[1:], *(str((results == r).sum()) for r in _RESULTS)])
    return format_grid(["Check, for each data set and model", *_RESULTS], rows)
