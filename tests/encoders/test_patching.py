from contextlib import ExitStack

import torch
from torch import nn

from overtop.encoders.patching import patch_attribute


def test_patched_numbers_buffers_parameters_and_methods_are_restored() -> None:
    module = nn.BatchNorm1d(2)
    before = dict(vars(module)), module.weight, module.running_mean, module.eps
    with ExitStack() as stack:
        patch_attribute(module, "eps", 0.5, stack)
        patch_attribute(module, "weight", nn.Parameter(torch.zeros(3)), stack)
        patch_attribute(module, "running_mean", torch.zeros(4), stack)
        patch_attribute(module, "forward", lambda x: "first patch", stack)
        patch_attribute(module, "forward", lambda x: "second patch", stack)
        assert module(None) == "second patch"
        assert (module.eps, len(module.weight), len(module.running_mean)) == (0.5, 3, 4)
    assert vars(module) == before[0]
    assert module.weight is before[1]
    assert module.running_mean is before[2]
    assert module.eps == before[3]
    assert module(torch.ones(2, 2)).shape == (2, 2)
