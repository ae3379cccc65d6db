"""From what is known of a query to one uncertainty; higher always means less trustworthy."""

from overtop.estimators.evidence import Evidence, Temperatures
from overtop.estimators.registry import ESTIMATORS, Estimator, find, lacking, score

__all__ = ["ESTIMATORS", "Estimator", "Evidence", "Temperatures", "find", "lacking", "score"]
