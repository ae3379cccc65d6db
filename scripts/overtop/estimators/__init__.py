"""From a ranking to one uncertainty per query; higher always means less trustworthy."""

from overtop.estimators.registry import ESTIMATORS, Estimator, find, score

__all__ = ["ESTIMATORS", "Estimator", "find", "score"]
