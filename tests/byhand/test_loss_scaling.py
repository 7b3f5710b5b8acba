"""The scaled loss: what is skipped, what is kept in float32, and when the factor changes."""

import math

import pytest
import torch
from byhand.precision import DynamicLossScaler, scaled_sgd_step


def half(*values):
    return torch.tensor(values, dtype=torch.float16)


def test_a_step_unscales_in_float32_where_fp16_would_lose_the_gradient():
    weight = torch.tensor([1.0, -2.0])
    true = torch.tensor([3e-9, 1e-4])
    new, stepped, factor = scaled_sgd_step(weight, (true * 2**16).half(), 2.0**16, lr=1e3)
    assert (stepped, factor) == (True, 2.0**16)
    assert new.dtype == torch.float32
    torch.testing.assert_close(weight - new, 1e3 * true, rtol=2e-2, atol=1e-7)
    assert not (true[:1] * 2**16).half().div(2**16).any()  # the trap


def test_many_small_steps_add_up_in_float32_weights():
    weight = torch.ones(1)
    for _ in range(100):
        weight, *_ = scaled_sgd_step(weight, half(1.0), 1.0, lr=1e-4)
    assert math.isclose(weight.item(), 0.99, abs_tol=1e-5)


@pytest.mark.parametrize("broken", [math.inf, -math.inf, math.nan])
def test_a_broken_gradient_changes_nothing_but_the_factor(broken):
    weight = torch.tensor([[1.0, 2.0]])
    new, stepped, factor = scaled_sgd_step(weight, half(0.5, broken).unsqueeze(0), 1024.0, lr=0.1)
    assert torch.equal(new, weight)
    assert new is not weight
    assert (stepped, factor) == (False, 512.0)


def test_a_step_leaves_its_inputs_alone_and_names_what_is_wrong():
    weight, gradient = torch.ones(2), half(1.0, 2.0)
    scaled_sgd_step(weight, gradient, 2.0, 0.1)
    assert weight.tolist() == [1.0, 1.0]
    assert gradient.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match=r"shape \(2,\) have a gradient of shape \(3,\)"):
        scaled_sgd_step.__wrapped__(weight, half(1.0, 2.0, 3.0), 1.0, 0.1)
    with pytest.raises(ValueError, match="k must be above 0, got 0"):
        scaled_sgd_step(weight, gradient, 0.0, 0.1)


def steps(scaler, history):
    """The factor and the weight after each gradient of a history."""
    weight = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1.0)
    seen = []
    for gradient in history:
        weight.grad = None
        scaler.scale((weight * gradient).sum()).backward()
        seen.append((scaler.step(optimizer), scaler.get_scale(), weight[0].item()))
    return seen


def test_the_factor_grows_after_enough_good_steps_in_a_row_and_a_skip_starts_the_count_again():
    good, bad = 0.5, math.inf
    seen = steps(DynamicLossScaler(8.0, 4.0, 0.5, 2), [good, bad, good, good, good, good, bad, bad, good])
    assert [stepped for stepped, *_ in seen] == [True, False, True, True, True, True, False, False, True]
    assert [factor for _, factor, _ in seen] == [8, 4, 4, 16, 16, 64, 32, 16, 16]
    assert [weight for *_, weight in seen] == [-0.5, -0.5, -1.0, -1.5, -2.0, -2.5, -2.5, -2.5, -3.0]


def test_one_broken_number_among_several_parameters_skips_the_whole_step():
    weights = [torch.zeros(2, requires_grad=True) for _ in range(3)]
    optimizer, scaler = torch.optim.Adam(weights, lr=1.0), DynamicLossScaler(2.0)
    weights[0].grad = torch.ones(2)
    weights[2].grad = torch.tensor([1.0, math.nan])
    assert scaler.step(optimizer) is False
    assert not any(weight.any() for weight in weights)
    assert not optimizer.state


def test_unscaling_by_hand_gives_the_true_gradients_once():
    weight = torch.zeros(2, requires_grad=True)
    optimizer, scaler = torch.optim.SGD([weight], lr=1.0), DynamicLossScaler(1024.0)
    scaler.scale((weight * torch.tensor([3.0, 4.0])).sum()).backward()
    assert weight.grad.tolist() == [3072.0, 4096.0]
    scaler.unscale_(optimizer)
    assert weight.grad.tolist() == [3.0, 4.0]
    with pytest.raises(ValueError, match=r"unscaled already: call step\(optimizer\)"):
        scaler.unscale_(optimizer)
    assert scaler.step(optimizer)
    assert weight.tolist() == [-3.0, -4.0]
    scaler.unscale_(optimizer)  # a new step


def test_gradients_in_half_precision_or_none_at_all_are_refused():
    weight = torch.zeros(2, dtype=torch.float16, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1.0)
    with pytest.raises(ValueError, match=r"has a gradient: call scale\(loss\)\.backward\(\) first"):
        DynamicLossScaler().step(optimizer)
    weight.grad = half(1.0, 2.0)
    with pytest.raises(ValueError, match=r"a gradient is torch\.float16, .*MasterWeights keeps them"):
        DynamicLossScaler().step(optimizer)


def test_the_factor_never_becomes_infinite():
    scaler = DynamicLossScaler(2.0**127, 2.0, 0.5, 1)
    assert steps(scaler, [1e-38, 1e-38])[-1][:2] == (True, 2.0**127)


def test_a_scaler_goes_on_from_its_state():
    first, second = DynamicLossScaler(8.0, interval=3), DynamicLossScaler(2.0, interval=3)
    steps(first, [0.5, math.inf, 0.5, 0.5])
    second.load_state_dict(first.state_dict())
    assert steps(second, [0.5, 0.5])[0][1] == steps(first, [0.5, 0.5])[0][1] == 8.0


@pytest.mark.parametrize(
    "setting", [{"init": 0.0}, {"growth": 0.9}, {"backoff": 1.0}, {"interval": 0}, {"init": math.inf}]
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match="need init > 0, growth >= 1, 0 < backoff < 1 and interval >= 1"):
        DynamicLossScaler(**setting)
