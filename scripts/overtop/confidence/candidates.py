"""Which estimators a confidence model is chosen from, with and without a bank of unlabelled queries."""

from overtop.terms import AUTO_ESTIMATORS, BANK_ESTIMATORS


def default_estimator(has_bank: bool) -> str:
    """Return the estimator of a confidence model if none is named."""
    return "bank_nnn" if has_bank else "max_softmax"


def auto_estimators(has_bank: bool) -> list[str]:
    """Return the estimators that are compared for `auto`."""
    return [name for name in AUTO_ESTIMATORS if has_bank or name not in BANK_ESTIMATORS]
