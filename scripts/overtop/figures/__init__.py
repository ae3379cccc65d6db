"""Figures: functions that take data and an optional matplotlib Axes and return the Axes.

`calibration` draws the paper's Fig. 1, `rejection` its Fig. 2, `sensitivity` its Fig. 3 and 4, `cascade` one of ours.
`style` holds their common look, `words` the names in words, `methods` what their legends list.
"""
