"""What an uncertainty is worth: recall, calibration, rejection."""

from overtop.evaluation.calibration import Calibration, calibrate
from overtop.evaluation.recall import best_rank, hits, recall_at, ties_at_top
from overtop.evaluation.rejection import Rejection, reject

__all__ = ["Calibration", "Rejection", "best_rank", "calibrate", "hits", "recall_at", "reject", "ties_at_top"]
