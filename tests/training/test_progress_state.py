import logging
import random
from pathlib import Path

import pytest
import torch

from overtop.training.progress_state import TrainingState, read_state, write_state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    weights = [torch.arange(50.0), torch.ones(3)]
    write_state(tmp_path / ".e.state", TrainingState(7, weights, {"state": {}}, rows=[{"loss": 0.5}]), "run")
    return tmp_path / ".e.state"


def test_state_after_round_trip_is_equal(path):
    state = read_state(path, "run")
    assert (state.step, state.rows, state.optimizer) == (7, [{"loss": 0.5}], {"state": {}})
    assert torch.equal(state.weights[0], torch.arange(50.0))


def test_state_of_another_run_is_not_used(path, caplog):
    with caplog.at_level(logging.WARNING):
        assert read_state(path, "other") is None
    assert "of another configuration or other inputs" in caplog.text
    assert read_state(path.with_name("none"), "run") is None


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_damaged_state_is_not_used(damage, path, caplog):
    content, generator = path.read_bytes(), random.Random(0)
    for position in generator.sample(range(len(content)), 100):
        damaged = bytearray(content)
        damaged[position] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged if damage == "flipped" else content[:position])
        with caplog.at_level(logging.WARNING):
            assert read_state(path, "run") is None
        assert "content differs from its digest" in caplog.text
        caplog.clear()
