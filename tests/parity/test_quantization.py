"""Grids, codes and integer layers are those of torch's and torchao's quantizers."""

import copy

import pytest
import torch
from byhand.quantization import (
    Int4Linear,
    Int8Linear,
    dequantize,
    int8_linear,
    quantize_affine,
    quantize_groups,
    quantize_symmetric,
    quantize_tokens,
    round_to_grid,
)
from torch import nn


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[(6, 40, 0), (1, 7, 1), (33, 64, 2)])
def weight(request):
    rows, columns, seed = request.param
    return draw(columns, rows, seed=seed).T * draw(rows, 1, seed=9).exp()


def integer_grid(weight, bits):
    """A grid as torch's observers choose it: zero is one of its points, and its zero point an integer."""
    low, high = weight.amin(1).clamp_max(0), weight.amax(1).clamp_min(0)
    scale = (high - low) / (2**bits - 1)
    return scale, (-low / scale).round().to(torch.int64)


def test_a_grid_with_integer_zero_points_gives_torchs_codes_and_numbers(weight):
    scale, point = integer_grid(weight, 8)
    codes = round_to_grid(weight, scale.unsqueeze(1), (-point * scale).unsqueeze(1), bits=8)
    reference = torch.quantize_per_channel(weight, scale.double(), point, 0, torch.quint8)
    assert torch.equal(codes, reference.int_repr())
    torch.testing.assert_close(
        dequantize(codes, scale.unsqueeze(1), (-point * scale).unsqueeze(1)),
        reference.dequantize(),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_fewer_bits_give_torchs_fake_quantized_numbers(weight, bits):
    scale, point = integer_grid(weight, bits)
    codes = round_to_grid(weight, scale.unsqueeze(1), (-point * scale).unsqueeze(1), bits)
    reference = torch.fake_quantize_per_channel_affine(weight, scale, point.int(), 0, 0, 2**bits - 1)
    mine = dequantize(codes, scale.unsqueeze(1), (-point * scale).unsqueeze(1))
    torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-5)


def test_symmetric_codes_are_torchs_for_channels_and_for_the_tensor(weight):
    codes, scale = quantize_symmetric(weight, 8)
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    reference = torch.quantize_per_channel(weight, scale.flatten().double(), zeros, 0, torch.qint8)
    assert torch.equal(codes, reference.int_repr())
    codes, scale = quantize_symmetric(weight, 8, per="tensor")
    reference = torch.quantize_per_tensor(weight, scale.item(), 0, torch.qint8)
    assert torch.equal(codes, reference.int_repr())
    torch.testing.assert_close(dequantize(codes, scale), reference.dequantize(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_groups_are_torchaos(weight, bits):
    from torchao.quantization.quant_primitives import MappingType, _choose_qparams_affine_dont_preserve_zero

    group_size = 8 if weight.shape[1] % 8 == 0 else 7
    codes, scale, zero = quantize_groups(weight, bits, group_size)
    theirs = _choose_qparams_affine_dont_preserve_zero(
        weight, MappingType.ASYMMETRIC, (1, group_size), torch.int32, 0, 2**bits - 1, torch.finfo(torch.float32).tiny
    )
    torch.testing.assert_close(scale, theirs[0].view_as(scale), rtol=1e-6, atol=0)
    error = (dequantize(codes, scale, zero, group_size) - weight).abs().amax(1)
    assert (error <= scale.amax(1) / 2 * 1.0001).all()


def test_the_scales_of_tokens_are_torchaos():
    from torchao.quantization.quant_primitives import MappingType, choose_qparams_affine, quantize_affine

    x = draw(5, 12) * torch.tensor([[1.0], [100.0], [1e-3], [5.0], [2.0]])
    scale, point = choose_qparams_affine(
        x, MappingType.SYMMETRIC, (1, 12), torch.int8, -127, 127, torch.finfo(torch.float32).tiny
    )
    codes, own = quantize_tokens(x)
    theirs = quantize_affine(x, (1, 12), scale, point, torch.int8, -127, 127)
    torch.testing.assert_close(own.flatten(), scale.flatten(), rtol=0.01, atol=0)  # it divides by 127.5
    assert (codes.int() - theirs.int()).abs().max() <= 1


def test_int8_linear_is_torchs_integer_product():
    x, weight = draw(4, 30), draw(7, 30, seed=1)
    codes, scale, zero = quantize_affine(weight, 8)
    a, s = quantize_tokens(x)
    products = torch._int_mm(a, (codes.int() - 128).to(torch.int8).T)
    sums = a.sum(1, keepdim=True)
    reference = s * (scale.T * products + (zero + 128 * scale).T * sums)
    torch.testing.assert_close(int8_linear(x, codes, scale, zero), reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_an_int8_layer_is_torchs_dynamically_quantized_linear(bias):
    linear = nn.Linear(48, 20, bias=bias)
    x = draw(9, 48)
    x = x / x.abs().amax(1, keepdim=True)  # both then divide the same range into 255 steps
    layer = Int8Linear.from_linear(linear, per_token=False)
    scale = layer.scale.flatten().double()
    zeros = torch.zeros(20, dtype=torch.int64)
    packed = torch.ops.quantized.linear_prepack(
        torch.quantize_per_channel(linear.weight.detach(), scale, zeros, 0, torch.qint8), linear.bias
    )
    reference = torch.ops.quantized.linear_dynamic(x, packed, not torch.cpu._is_vnni_supported())
    with torch.no_grad():
        torch.testing.assert_close(layer(x), reference, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(Int8Linear.from_linear(linear)(x), reference, rtol=1e-5, atol=1e-5)


def test_int8_layers_are_as_close_to_the_exact_product_as_torchaos():
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    linear = nn.Linear(64, 32)
    theirs = nn.Sequential(copy.deepcopy(linear))
    quantize_(theirs, Int8DynamicActivationInt8WeightConfig())
    x = draw(50, 64) * draw(50, 1, seed=3).exp()
    with torch.no_grad():
        exact = linear(x)
        mine, other = ((made(x) - exact).norm() / exact.norm() for made in (Int8Linear.from_linear(linear), theirs))
    assert mine < 1.1 * other


@pytest.mark.parametrize(("columns", "group_size"), [(64, 32), (128, 64)])
def test_an_int4_layer_is_torchs_product_with_dequantized_weights(columns, group_size):
    layer = Int4Linear.from_linear(nn.Linear(columns, 48), group_size, clip=False)
    x = draw(3, columns)
    reference = nn.functional.linear(x.bfloat16().float(), layer.weight, layer.bias)
    assert (layer(x) - reference).norm() < 0.005 * reference.norm()
