import pytest
import torch

from overtop.device import default_device, reproducible, tensor_float_32


@pytest.mark.parametrize(("gpu_available", "device"), [(True, "cuda"), (False, "cpu")])
def test_default_device_is_the_gpu_if_available(monkeypatch, gpu_available, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu_available)
    assert default_device() == device


def test_reproducible_draws_depend_on_the_seed_alone():
    samples = []
    for seed in (3, 3, 4):
        torch.rand(5)  # the global generator is in another state each time
        with reproducible(1, seed):
            samples.append(torch.rand(5))
    assert torch.equal(samples[0], samples[1])
    assert not torch.equal(samples[0], samples[2])


def tf32_flags():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("allowed", [True, False])
def test_choice_of_tf32_holds_for_products_and_convolutions_and_ends_with_the_context(allowed):
    before = tf32_flags()
    with tensor_float_32(allowed):
        assert tf32_flags() == (allowed, allowed)
        with reproducible(1, 0):
            assert tf32_flags() == (False, False)
        assert tf32_flags() == (allowed, allowed)
    assert tf32_flags() == before


def _fail_inside_reproducible(threads):
    with reproducible(threads, 0):
        assert torch.get_num_threads() == threads
        assert torch.are_deterministic_algorithms_enabled()
        torch.rand(5)
        raise ZeroDivisionError


def test_reproducible_restores_threads_kernels_and_random_state_after_an_error():
    threads, random_state = torch.get_num_threads(), torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        _fail_inside_reproducible(threads + 1)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), random_state)
