import pytest

from overtop.config.encoders import TrainSpec
from overtop.training.schedule import learning_rate


def test_learning_rate_rises_linearly_then_falls_to_zero() -> None:
    spec = TrainSpec(dataset="x", learning_rate=2.0, warm_up=0.2)
    rates = [learning_rate(step, 50, spec) for step in range(50)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == 2.0
    assert rates[30] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_learning_rate_without_warm_up_starts_at_its_maximum() -> None:
    assert learning_rate(0, 50, TrainSpec(dataset="x", learning_rate=2.0, warm_up=0.0)) == 2.0
