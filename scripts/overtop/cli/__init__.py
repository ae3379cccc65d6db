"""The command `overtop`."""
