import numpy as np
import pandas as pd

from overtop.evaluation.rounding import round_floats, round_to_digits


def test_float_columns_are_rounded_and_others_stay():
    table = pd.DataFrame({"name": ["a", "b"], "n": [1, 2], "value": [0.12345678, -1e-9], "missing": [np.nan, 2.0]})
    rounded = round_floats(table)
    expected = table.assign(value=[0.123457, 0.0])
    pd.testing.assert_frame_equal(rounded, expected, check_exact=True)
    assert not np.signbit(rounded["value"]).any()
    assert table["value"][0] == 0.12345678


def test_significant_digits_are_kept_whatever_the_size():
    table = pd.DataFrame({"x": [6.4123456789e-8, -1234567.89, -0.0, np.nan], "n": [1, 2, 3, 4]})
    rounded = round_to_digits(table)
    np.testing.assert_array_equal(rounded["x"], [6.41235e-8, -1234570.0, 0.0, np.nan])
    assert not np.signbit(rounded["x"][2])
    assert rounded["n"].dtype == table["n"].dtype
