import numpy as np
import pandas as pd

from overtop.evaluation.rounding import round_floats


def test_float_columns_are_rounded_and_others_stay():
    table = pd.DataFrame({"name": ["a", "b"], "n": [1, 2], "value": [0.12345678, -1e-9], "missing": [np.nan, 2.0]})
    rounded = round_floats(table)
    expected = table.assign(value=[0.123457, 0.0])
    pd.testing.assert_frame_equal(rounded, expected, check_exact=True)
    assert not np.signbit(rounded["value"]).any()
    assert table["value"][0] == 0.12345678
