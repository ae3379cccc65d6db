"""The page of a report: its data from the files that other rules wrote, and its HTML."""
