import pytest
import torch

from overtop.device import default_device


@pytest.mark.parametrize(("there_is_one", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_used_where_there_is_one(monkeypatch, there_is_one, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there_is_one)
    assert default_device() == device
