"""Dropout: the share, the mean, independent draws, and gradients through what was kept."""

import math

import pytest
import torch
from byhand.dropout import Dropout, drop


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield


@pytest.mark.parametrize("share", [0.1, 0.5, 0.93])
def test_the_share_is_dropped_and_the_mean_stays(share):
    dropped = drop(torch.ones(1001, 999), share)
    kept = dropped != 0
    count = kept.numel()
    deviations = (kept.sum().item() - count * (1 - share)) / math.sqrt(count * share * (1 - share))
    assert abs(deviations) < 5
    torch.testing.assert_close(dropped[kept], torch.full_like(dropped[kept], 1 / (1 - share)), rtol=1e-3, atol=0)
    for lane in range(4):  # the numbers that one draw decides
        assert abs(kept.flatten()[lane::4].float().mean() - (1 - share)) < 0.005


def test_neighbours_and_calls_are_independent():
    first, second = (drop(torch.ones(400_000), 0.5) != 0 for _ in range(2))
    for one, other in ((first, second), (first[:-1], first[1:]), (first[:-4], first[4:])):
        assert abs((one & other).float().mean() - 0.25) < 0.005


def test_the_seed_decides_and_the_state_can_be_taken_up():
    x = torch.ones(5, 7)
    state = torch.random.get_rng_state()
    once = drop(x, 0.3)
    torch.random.set_rng_state(state)
    assert torch.equal(drop(x, 0.3), once)
    assert not torch.equal(drop(x, 0.3), once)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_gradients_flow_through_what_was_kept_and_the_input_stays(dtype):
    x = torch.arange(1, 36, dtype=dtype).view(7, 5).T.requires_grad_()
    before = x.detach().clone()
    out = drop(x, 0.4)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert out.dtype == dtype
    assert torch.equal(gradient != 0, out != 0)
    assert torch.equal(out, x * gradient)
    assert torch.equal(x, before)


def test_nothing_and_everything_can_be_dropped():
    x = torch.randn(3, 4)
    assert drop(x, 0.0) is x
    assert (drop(x, 1.0) == 0).all()
    assert drop(torch.empty(0, 3), 0.5).shape == (0, 3)


def test_the_layer_drops_in_training_only():
    layer, x = Dropout(0.5), torch.ones(100)
    assert (layer(x) == 0).any()
    assert layer.eval()(x) is x


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(ValueError, match="the share to drop must be from 0 to 1"):
        drop(torch.ones(2), share)
