"""How good an uncertainty is: recall, calibration, rejection, selective risk, and intervals of each."""
