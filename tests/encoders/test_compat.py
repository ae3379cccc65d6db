import importlib

import pytest
import torch

from overtop.encoders import compat


def test_open_clip_and_torchvision_are_importable() -> None:
    functional = importlib.import_module("torchvision.transforms.functional")
    assert compat.open_clip.list_models()
    assert functional.resize(torch.zeros(3, 4, 4), [2, 2]).shape == (3, 2, 2)


def test_other_errors_of_torchvision_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing_import(name: str) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(importlib, "import_module", failing_import)
    with pytest.raises(RuntimeError, match="something else"):
        compat._import_torchvision()
