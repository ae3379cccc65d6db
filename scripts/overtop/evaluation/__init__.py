"""What an uncertainty is worth: recall, calibration, rejection."""

from overtop.evaluation.calibration import Calibration, calibrate
from overtop.evaluation.recall import best_rank, tied_at_top
from overtop.evaluation.rejection import Rejection, reject

__all__ = ["Calibration", "Rejection", "best_rank", "calibrate", "reject", "tied_at_top"]
