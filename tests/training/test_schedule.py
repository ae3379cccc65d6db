import pytest

from overtop.training.schedule import learning_rate


def test_learning_rate_rises_linearly_then_falls_to_zero() -> None:
    rates = [learning_rate(step, 50, 2.0, 10) for step in range(50)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == 2.0
    assert rates[30] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_learning_rate_without_warm_up_starts_at_its_maximum() -> None:
    assert learning_rate(0, 50, 2.0, 0) == 2.0


def test_learning_rate_of_a_run_shorter_than_its_warm_up_only_rises() -> None:
    assert [learning_rate(step, 3, 2.0, 10) for step in range(3)] == pytest.approx([0.2, 0.4, 0.6])
