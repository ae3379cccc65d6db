import pytest

from overtop.evaluation.verdicts import paper_verdict


@pytest.mark.parametrize(
    ("shown", "difference", "paper", "expected"),
    [
        (True, 0.1, 0.02, "survives"),
        (True, -0.1, -0.02, "survives"),
        (True, 0.1, -0.02, "reversed"),
        (True, -0.1, 0.02, "reversed"),
        (False, 0.1, 0.02, "not shown"),
        (False, -0.1, 0.02, "not shown"),
        (True, 0.1, 0.0, "tie"),
        (False, 0.1, 0.0, "tie"),
    ],
)
def test_verdict_follows_significance_and_signs(shown, difference, paper, expected):
    assert paper_verdict(shown, difference, paper) == expected
