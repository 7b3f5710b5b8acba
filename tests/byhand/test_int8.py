"""The product of integers and the int8 layer: exact sums, every kernel the same, rows apart."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand.quantization import Int8Linear, dequantize, int8, int8_linear, quantize_affine, quantize_tokens
from torch import nn


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_each_token_has_a_scale_of_its_own_and_moves_by_half_a_step_at_most():
    x = draw(9, 5).T * torch.tensor([[1.0], [1e4], [1e-20], [0.0], [3.0]])
    codes, scale = quantize_tokens(x)
    assert codes.dtype == torch.int8
    assert (codes.abs().amax(1) == torch.tensor([127, 127, 127, 0, 127])).all()
    assert ((codes * scale - x).abs() <= scale / 2 * 1.0001).all()
    assert torch.equal(quantize_tokens(x[1:2])[0], codes[1:2])


@pytest.mark.parametrize("bits", [4, 8])
def test_int8_linear_equals_the_product_of_what_its_codes_stand_for(bits):
    x, weight, bias = draw(4, 300), draw(6, 300, seed=1) + 3, draw(6, seed=2)
    codes, scale, zero = quantize_affine(weight, bits)
    a, s = quantize_tokens(x)
    exact = (a.double() * s.double()) @ dequantize(codes, scale.double(), zero.double()).T
    torch.testing.assert_close(int8_linear(x, codes, scale, zero), exact.float(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(int8_linear(x, codes, scale, zero, bias), (exact + bias).float(), rtol=1e-5, atol=1e-4)
    assert (int8_linear(x, codes, scale, zero) - x @ weight.T).norm() < 0.1 * (x @ weight.T).norm()


def test_int8_linear_sums_in_32_bits():
    codes, scale, zero = torch.full((1, 4096), 255, dtype=torch.uint8), torch.ones(1, 1), torch.zeros(1, 1)
    assert int8_linear(torch.full((1, 4096), 127.0), codes, scale, zero).item() == 127 * 255 * 4096
    odd = torch.full((1, 4097), 127.0)
    odd[0, -1] = 1.0  # the sum is odd and above 2^24: float32 would lose its last bit
    codes = torch.full((1, 4097), 255, dtype=torch.uint8)
    a = (codes.long() * 127).sum().item() - 126 * 255
    assert int8_linear(odd.double(), codes, scale.double(), zero.double()).item() == a


def test_int8_linear_keeps_the_dtype_and_names_the_widths():
    codes, scale, zero = quantize_affine(draw(3, 5), 8)
    assert int8_linear(draw(2, 5).bfloat16(), codes, scale, zero).dtype == torch.bfloat16
    assert int8_linear(torch.zeros(0, 5), codes, scale, zero).shape == (0, 3)
    with pytest.raises(ValueError, match="x has 4 columns, but the codes are for 5"):
        int8_linear.__wrapped__(draw(2, 4), codes, scale, zero)


@pytest.fixture(params=["fbgemm", "one grid", "integers"])
def layer(request, monkeypatch):
    linear = nn.Linear(40, 24)
    if request.param == "integers":
        monkeypatch.setattr(int8, "has_fbgemm", lambda: False)
    return Int8Linear.from_linear(linear, per_token=request.param != "one grid"), linear


def test_a_layer_is_close_to_the_one_it_stands_for_by_every_kernel(layer):
    layer, linear = layer
    x = draw(3, 7, 40).transpose(0, 1)
    for inputs in (x, x[0], x[0, 0], x.bfloat16(), x.double()):
        y, exact = layer(inputs), linear(inputs.float())
        assert y.dtype == inputs.dtype
        assert y.shape == exact.shape
        assert (y - exact).norm() < 0.015 * exact.norm()
    assert layer(torch.zeros(2, 0, 40)).shape == (2, 0, 24)
    torch.testing.assert_close(layer(torch.zeros(1, 40))[0], linear.bias.detach())
    assert repr(layer) == "Int8Linear(in_features=40, out_features=24, bias=True)"


def test_a_layer_without_a_bias_adds_none(layer):
    layer, _ = layer
    bare = nn.Linear(40, 24, bias=False)
    quantized = Int8Linear.from_linear(bare, layer.per_token)
    assert quantized.bias is None
    assert not quantized(torch.zeros(2, 40)).any()
    x = draw(2, 40)
    assert (quantized(x) - bare(x)).norm() < 0.015 * bare(x).norm()


def test_a_broken_token_breaks_no_other(layer):
    layer, linear = layer
    x = draw(4, 40)
    x[1, 3], x[2, 5] = math.nan, math.inf
    y = layer(x)
    assert y[1].isnan().all()
    assert not y[2].isfinite().any()
    exact = linear(x[[0, 3]])
    assert (y[[0, 3]] - exact).norm() < 0.015 * exact.norm()


def test_a_loud_token_does_not_coarsen_the_others():
    linear = nn.Linear(40, 24)
    x = draw(2, 40)
    x[1] *= 1e4
    exact = linear(x[:1])
    errors = [(Int8Linear.from_linear(linear, apart)(x)[:1] - exact).norm() / exact.norm() for apart in (True, False)]
    assert errors[0] < 0.015
    if int8.has_fbgemm():
        assert errors[1] > 0.5


def test_a_moved_or_reloaded_layer_multiplies_its_new_weights(layer):
    layer, _ = layer
    x = draw(2, 40)
    layer(x)
    other = Int8Linear.from_linear(nn.Linear(40, 24), layer.per_token)
    layer.load_state_dict(other.state_dict())
    assert torch.equal(layer(x), other(x))
    half = layer.to(torch.bfloat16)
    assert (half(x) - F.linear(x, half.weight, half.bias.float())).norm() < 0.02 * half(x).norm()


def test_wrong_widths_are_named(layer):
    with pytest.raises(ValueError, match="inputs are 39 wide, but the layer was made for 40"):
        layer[0](torch.zeros(2, 39))
