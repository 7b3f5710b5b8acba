"""Normalisation, feed-forward and blocks: precision, order of the parts, and the unit path."""

import inspect
import math

import pytest
import torch
from byhand.blocks import Block, FeedForward, LayerNorm, RMSNorm, gelu, layer_norm


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_weights(module, seed=1, dtype=torch.float64):
    module.to(dtype)
    with torch.no_grad():
        for place, parameter in enumerate(module.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=seed + place) / 3)
    return module


def test_layer_norm_is_the_definition():
    x, gain, bias = draw(2, 3, 5), draw(5, seed=1), draw(5, seed=2)
    row = x[1, 2].tolist()
    mean = sum(row) / 5
    variance = sum((value - mean) ** 2 for value in row) / 5
    expected = [(value - mean) / math.sqrt(variance + 0.3) * g + b for value, g, b in zip(row, gain, bias, strict=True)]
    torch.testing.assert_close(layer_norm(x, gain, bias, eps=0.3)[1, 2], torch.stack(expected))


def test_layer_norm_of_one_number_is_its_bias_and_of_equal_numbers_too():
    assert layer_norm(torch.tensor([[7.0]]), torch.tensor([3.0]), torch.tensor([2.0])).item() == 2.0
    assert layer_norm(torch.full((2, 4), 1e4), torch.ones(4), torch.zeros(4)).abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_norms_of_half_precision_are_computed_in_float32_and_given_back_as_they_came(dtype):
    x = (draw(3, 64, seed=4) * 800).to(dtype)  # squares beyond float16
    gain, bias = draw(64, seed=5).to(dtype), draw(64, seed=6).to(dtype)
    wide = layer_norm(x.float(), gain.float(), bias.float()).to(dtype)
    assert torch.equal(layer_norm(x, gain, bias), wide)
    norm = RMSNorm(64).to(dtype)
    assert torch.equal(norm(x), RMSNorm(64)(x.float()).to(dtype))
    assert torch.isfinite(norm(x)).all()
    layer = LayerNorm(64).to(dtype)
    torch.testing.assert_close(layer(x), layer_norm(x, layer.gain, layer.bias), rtol=0.01, atol=0.01)


def test_the_layers_kernel_is_the_function_gradients_included():
    layer = random_weights(LayerNorm(6, eps=1e-3))
    x = draw(4, 3, 6).transpose(0, 1).requires_grad_()
    for out in (layer(x), layer_norm(x, layer.gain, layer.bias, 1e-3)):
        torch.testing.assert_close(out, layer(x))
    ours = torch.autograd.grad(layer_norm(x, layer.gain, layer.bias, 1e-3).square().sum(), (x, layer.gain, layer.bias))
    theirs = torch.autograd.grad(layer(x).square().sum(), (x, layer.gain, layer.bias))
    torch.testing.assert_close(ours, theirs)


def test_rms_norm_keeps_directions_and_takes_off_no_mean():
    x = draw(5, 8) + 3
    out = RMSNorm(8, eps=0.0).double()(x)
    torch.testing.assert_close(out.square().mean(-1), torch.ones(5).double())
    torch.testing.assert_close(out, x * (out[:, :1] / x[:, :1]))


def test_gelu_passes_large_numbers_stops_small_ones_and_its_tanh_form_is_near():
    x = torch.linspace(-8, 8, 161, dtype=torch.float64)
    exact, near = gelu(x), gelu(x, tanh=True)
    assert abs(exact[-1] - 8) < 1e-12
    assert abs(exact[0]) < 1e-12
    torch.testing.assert_close(exact - gelu(-x), x)
    assert 1e-5 < (exact - near).abs().max() < 1e-3


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "gated_gelu"])
@pytest.mark.parametrize("bias", [True, False])
def test_feed_forward_is_up_activation_down(activation, bias):
    made = random_weights(FeedForward(4, 10, activation, bias=bias))
    x = draw(2, 3, 4)
    hidden = made.up(x)
    if activation == "relu":
        hidden = hidden.clamp(min=0)
    elif activation == "gated_gelu":
        hidden = gelu(made.gate(x), tanh=True) * hidden
    else:
        hidden = gelu(hidden, tanh=activation == "gelu_tanh")
    torch.testing.assert_close(made(x), made.down(hidden))
    assert (made.gate is not None) == (activation == "gated_gelu")
    assert (made.up.bias is not None) == bias


def test_an_unknown_activation_is_refused_by_name():
    with pytest.raises(ValueError, match="no activation 'swish'; there are gelu, gelu_tanh, relu, gated_gelu"):
        inspect.unwrap(FeedForward.__init__)(FeedForward.__new__(FeedForward), 4, 8, "swish")


def silence(block):
    """Make both parts of the block answer zero."""
    for layer in (block.attention.output, block.feed_forward.down):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)


def test_a_pre_norm_block_whose_parts_answer_zero_is_the_identity_with_a_unit_gradient():
    block = random_weights(Block(6, 2, 12))
    silence(block)
    x = (100 * draw(2, 5, 6)).requires_grad_()
    out = block(x, causal=True)
    assert torch.equal(out, x)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(gradient, torch.ones_like(x))


def test_a_post_norm_block_whose_parts_answer_zero_normalises_twice():
    block = random_weights(Block(6, 2, 12, norm_first=False))
    silence(block)
    x = draw(2, 5, 6)
    torch.testing.assert_close(block(x), block.feed_forward_norm(block.attention_norm(x)))


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_is_its_parts_in_their_order(norm_first):
    block = random_weights(Block(6, 3, 9, norm_first=norm_first, activation="relu", norm_eps=0.1))
    x, mask = draw(2, 4, 6), torch.tensor([[True] * 4, [True, True, False, False]])[:, None, None]
    if norm_first:
        middle = x + block.attention(block.attention_norm(x), mask=mask, causal=True)
        expected = middle + block.feed_forward(block.feed_forward_norm(middle))
    else:
        middle = block.attention_norm(x + block.attention(x, mask=mask, causal=True))
        expected = block.feed_forward_norm(middle + block.feed_forward(middle))
    torch.testing.assert_close(block(x, mask, causal=True), expected)
    assert block.attention_norm is not block.feed_forward_norm
    assert block.attention_norm.eps == block.feed_forward_norm.eps == 0.1


def test_a_block_hands_bias_and_rotation_to_its_attention():
    block, x = random_weights(Block(6, 3, 9)), draw(1, 4, 6)
    plain = block(x)
    assert not torch.allclose(block(x, bias=draw(1, 3, 4, 4)), plain)
    assert not torch.allclose(block(x, rotate=lambda heads: heads.flip(-2)), plain)


def test_a_block_drops_in_training_only():
    block, x = random_weights(Block(6, 3, 9, dropout=0.5)), draw(1, 4, 6)
    assert torch.equal(block.eval()(x), block(x))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(block.train()(x), block(x))


def test_a_changed_future_leaves_a_blocks_past_bit_equal():
    block, x = random_weights(Block(6, 3, 9), dtype=torch.float32), draw(2, 8, 6, dtype=torch.float32)
    changed = x.clone()
    changed[:, 3:] += 5
    assert torch.equal(block(x, causal=True)[:, :3], block(changed, causal=True)[:, :3])
