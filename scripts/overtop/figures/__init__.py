"""Figures: functions that draw tables of results on an optional matplotlib Axes and return it."""
