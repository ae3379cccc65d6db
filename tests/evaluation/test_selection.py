import pandas as pd
import pytest

from overtop.evaluation.selection import select_rows

FRAME = pd.DataFrame(
    {"protocol": ["corrected", "published", "corrected"], "estimator": ["margin", "margin", "energy"]}, index=[3, 1, 2]
)


@pytest.mark.parametrize(
    ("allowed", "index"),
    [
        ({}, [3, 1, 2]),
        ({"protocol": "corrected"}, [3, 2]),
        ({"protocol": ["published", "corrected"], "estimator": {"margin"}}, [3, 1]),
        ({"protocol": None, "estimator": []}, [3, 1, 2]),
        ({"estimator": ["entropy"]}, []),
    ],
)
def test_rows_with_allowed_values_keep_their_order_and_index(allowed, index):
    pd.testing.assert_frame_equal(select_rows(FRAME, **allowed), FRAME.loc[index])


def test_unknown_column_is_an_error():
    with pytest.raises(KeyError, match="binning"):
        select_rows(FRAME, binning="equal_width")
