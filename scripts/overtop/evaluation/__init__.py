"""What an uncertainty is worth: recall, calibration, rejection, selective prediction, and how sure that is."""

from overtop.evaluation.calibration import Calibration, calibrate
from overtop.evaluation.recall import best_rank, tied_at_top
from overtop.evaluation.rejection import Rejection, reject
from overtop.evaluation.selective import Selective, selective_measures

__all__ = [
    "Calibration",
    "Rejection",
    "Selective",
    "best_rank",
    "calibrate",
    "reject",
    "selective_measures",
    "tied_at_top",
]
