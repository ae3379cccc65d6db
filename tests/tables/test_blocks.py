"""Cells of tables as text."""

import pytest

from overtop.tables.blocks import format_number


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(-0.001, 2, "0.00"), (-0.5, 1, "-0.5"), (1000.0, 0, "1000"), (None, 3, "–"), (float("nan"), 2, "–")],
)
def test_number_is_formatted_without_a_negative_zero(value, decimals, text):
    assert format_number(value, decimals) == text
