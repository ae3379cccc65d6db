"""Quality of an uncertainty: recall, calibration, rejection and selective prediction, with intervals and tests."""
