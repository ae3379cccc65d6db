"""Figures: functions that take data and an optional matplotlib Axes and return the Axes.

`calibration` draws the paper's Fig. 1, `rejection` its Fig. 2; `style` holds the look they share and `words` the names in words.
"""
