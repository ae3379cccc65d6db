"""Verdicts on a difference that the paper reports between two methods, given our difference on the same measure."""

SURVIVES = "survives"
"""Our difference is significant after Holm's adjustment, and has the sign of the paper's."""

REVERSED = "reversed"
"""Our difference is significant after Holm's adjustment, and has the opposite sign."""

NOT_SHOWN = "not shown"
"""Our difference is not significant after Holm's adjustment, or not defined."""

TIE = "tie"
"""The paper reports no difference."""

VERDICTS = (SURVIVES, REVERSED, NOT_SHOWN, TIE)


def paper_verdict(shown: bool, difference: float, paper_difference: float) -> str:
    """Return the one of `VERDICTS` that applies to a difference of the paper.

    Args:
        shown: whether our difference is significant after Holm's adjustment.
        difference: ours.
        paper_difference: the paper's.
    """
    if paper_difference == 0:
        return TIE
    if not shown:
        return NOT_SHOWN
    return SURVIVES if (difference > 0) == (paper_difference > 0) else REVERSED
