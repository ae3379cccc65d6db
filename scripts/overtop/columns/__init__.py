"""What the columns of all tables mean; `meanings.COLUMNS` has every name."""
