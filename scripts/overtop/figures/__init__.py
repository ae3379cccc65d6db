"""Figures: functions that take data and an optional matplotlib Axes and return the Axes.

`calibration` draws the paper's Fig. 1, `rejection` its Fig. 2.
`style` holds their common look, `words` the names in words, `methods` what their legends list.
"""
