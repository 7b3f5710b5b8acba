"""Grids, layers, models and files of quantized weights: bounds that hold for every weight, and what must not change."""

import copy
import json
import math

import pytest
import torch
from byhand.quantization import (
    Int4Linear,
    dequantize,
    effective_bits,
    load_quantized,
    quantize_affine,
    quantize_groups,
    quantize_model,
    quantize_symmetric,
    quantized_bytes,
    quantized_tensors,
    record_inputs,
    round_to_grid,
    save_quantized,
)
from byhand.quantization.int4 import has_int4_kernel, stored_grid
from safetensors.torch import load_file, save_file
from torch import nn


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture
def weight():
    """Rows of very different size and place, one constant, one tiny, one with an outlier; not contiguous."""
    weight = draw(23, 7).T * torch.tensor([1.0, 1e-3, 1e3, 0.0, 1e-30, 1.0, 1.0]).unsqueeze(1)
    weight[3] = -2.5
    weight[5, 4] = 900.0
    weight[6] += 7
    return weight


def half_steps(weight, scale):
    """Half a step, and what rounding in the weights' own dtype adds."""
    return scale / 2 * (1 + 1e-4) + 2 * torch.finfo(weight.dtype).eps * weight.abs()


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_no_weight_moves_by_more_than_half_a_step_and_the_ends_are_met(weight, bits):
    codes, scale, zero = quantize_affine(weight, bits)
    back = dequantize(codes, scale, zero)
    assert codes.dtype == torch.uint8
    assert scale.shape == zero.shape == (7, 1)
    assert (scale > 0).all()
    assert ((back - weight).abs() <= half_steps(weight, scale)).all()
    assert torch.equal(back.amin(1), weight.amin(1))
    torch.testing.assert_close(back.amax(1), weight.amax(1), rtol=1e-6, atol=0)
    varied = [0, 1, 2, 4, 5, 6]
    assert (codes.amin(1) == 0).all()
    assert (codes[varied].amax(1) == 2**bits - 1).all()


def test_a_constant_row_is_kept_exactly_zero_and_negative_too():
    weight = torch.tensor([[0.0, 0.0, 0.0], [-2.5, -2.5, -2.5], [1e-45, 1e-45, 1e-45]])
    assert torch.equal(dequantize(*quantize_affine(weight, 4)), weight)


def test_rows_of_subnormal_numbers_stay_finite_and_within_half_a_step():
    weight = torch.tensor([[1e-40, -3e-40, 5e-45], [1e-38, 2e-38, 4e-38]])
    for quantized in (quantize_affine(weight, 8), quantize_symmetric(weight, 8)):
        back = dequantize(*quantized)
        assert ((back - weight).abs() <= quantized[1] / 2 * 1.001).all()


def test_more_bits_never_lose_more(weight):
    errors = [(dequantize(*quantize_affine(weight, bits)) - weight).square().sum() for bits in range(1, 9)]
    assert errors == sorted(errors, reverse=True)


def test_a_grid_for_the_whole_tensor_is_one_and_is_coarser(weight):
    codes, scale, zero = quantize_affine(weight, 8, per="tensor")
    assert scale.shape == zero.shape == (1, 1)
    assert codes.shape == weight.shape
    back = dequantize(codes, scale, zero)
    assert ((back - weight).abs() <= half_steps(weight, scale)).all()
    assert (back[1] == back[1, 0]).all()  # the small row is lost


def test_quantizing_what_was_quantized_changes_nothing(weight):
    codes, scale, zero = quantize_affine(weight, 4)
    again = quantize_affine(dequantize(codes, scale, zero), 4)
    assert torch.equal(again[0], codes)
    torch.testing.assert_close(again[1], scale, rtol=1e-5, atol=0)


@pytest.mark.parametrize("group_size", [1, 5, 8, 22, 23, 40])
def test_groups_are_rows_of_their_own_and_the_ragged_tail_is_one_too(weight, group_size):
    codes, scale, zero = quantize_groups(weight, 4, group_size)
    groups = math.ceil(23 / group_size)
    assert scale.shape == zero.shape == (7, groups)
    for group in range(groups):
        columns = slice(group * group_size, (group + 1) * group_size)
        alone = quantize_affine(weight[:, columns], 4)
        for mine, own in zip((codes[:, columns], scale[:, [group]], zero[:, [group]]), alone, strict=True):
            assert torch.equal(mine, own)
    back = dequantize(codes, scale, zero, group_size)
    whole = scale.repeat_interleave(group_size, dim=1)[:, :23]
    assert ((back - weight).abs() <= half_steps(weight, whole)).all()


def test_a_change_in_one_group_leaves_all_others_bit_equal(weight):
    before = quantize_groups(weight, 3, 5)
    changed = weight.clone()
    changed[2, 7] += 5e3
    after = quantize_groups(changed, 3, 5)
    elsewhere = torch.ones(7, 23, dtype=torch.bool)
    elsewhere[2, 5:10] = False
    assert torch.equal(before[0][elsewhere], after[0][elsewhere])
    assert (before[1] != after[1]).nonzero().tolist() == [[2, 1]]


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("group_size", [None, 6])
def test_a_symmetric_grid_keeps_zero_and_follows_a_change_of_sign(weight, bits, group_size):
    weight = weight.clone()
    weight[:, 0] = 0
    codes, scale = quantize_symmetric(weight, bits, group_size=group_size)
    assert codes.dtype == torch.int8
    assert codes.abs().max() == 2 ** (bits - 1) - 1
    assert (codes[:, 0] == 0).all()
    assert torch.equal(quantize_symmetric(-weight, bits, group_size=group_size)[0], -codes)
    steps = scale if group_size is None else scale.repeat_interleave(group_size, dim=1)[:, :23]
    assert ((dequantize(codes, scale, group_size=group_size) - weight).abs() <= half_steps(weight, steps)).all()


def test_one_symmetric_grid_for_the_whole_tensor():
    codes, scale = quantize_symmetric(torch.tensor([[1.0, -2.0], [254.0, 0.0]]), 8, per="tensor")
    assert (codes.tolist(), scale.tolist()) == ([[0, -1], [127, 0]], [[2.0]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_narrow_weights_are_quantized_in_float32_and_wide_ones_in_their_own(dtype):
    weight = draw(4, 9).to(dtype)
    codes, scale, zero = quantize_groups(weight, 4, 4)
    assert scale.dtype == zero.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(codes, quantize_groups(weight.double(), 4, 4)[0])


def test_quantizing_leaves_the_weights_and_random_state_alone_and_gives_no_gradient(weight):
    state = torch.random.get_rng_state()
    kept = weight.clone()
    leaf = weight.detach().requires_grad_()
    results = [*quantize_groups(leaf, 4, 6), *quantize_symmetric(leaf, 4), *quantize_affine(leaf, 4, per="tensor")]
    assert torch.equal(weight, kept)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(result.requires_grad for result in results)


def test_rounding_to_a_grid_ends_at_its_ends():
    scale, zero = torch.tensor([[0.5, 2.0]]), torch.tensor([[-1.0, 10.0]])
    codes = round_to_grid(torch.tensor([[-9.0, 0.1, 99.0, 13.9, 0.0]]), scale, zero, bits=2, group_size=3)
    assert codes.tolist() == [[0, 2, 3, 2, 0]]


def test_effective_bits_count_the_scales():
    assert effective_bits(4, 32, 32) == 5.0
    assert round(32 / effective_bits(4, 32, 64), 1) == 5.3
    assert effective_bits(8, 10**9, 0) == 8


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: quantize_affine(torch.ones(2, 3), 9), "bits must be 1 to 8, got 9"),
        (lambda: quantize_symmetric(torch.ones(2, 3), 1), "bits must be 2 or more for a symmetric grid"),
        (lambda: quantize_symmetric(torch.ones(2, 3), 4, "tensor", 2), "leave group_size out"),
        (lambda: quantize_groups(torch.ones(2, 3), 4, 0), "group_size must be at least 1, got 0"),
        (lambda: quantize_groups(torch.ones(2, 0), 4, 2), r"shape \(2, 0\) are none"),
        (lambda: quantize_affine(torch.ones(0, 3), 4), "there is no range to quantize"),
        (lambda: quantize_affine(torch.tensor([[1.0, math.nan]]), 4), "NaN, infinity or numbers too far apart"),
        (lambda: quantize_symmetric(torch.tensor([[1.0, math.inf]]), 4), "mend them first"),
        (lambda: quantize_affine(torch.tensor([[3e38, -3e38]]), 4), "too far apart"),
        (lambda: dequantize(torch.ones(4, 6).byte(), torch.ones(4, 2), None, 2), r"shape \(4, 3\), got \(4, 2\)"),
        (lambda: dequantize(torch.ones(4, 6).byte(), torch.ones(3, 1)), "scale and zero must have shape"),
        (lambda: effective_bits(4, 32, -1), "meta_bits must be 0 or more, got -1"),
    ],
)
def test_what_cannot_be_quantized_is_refused_with_the_way_out(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_grid_stored_in_16_bits_still_covers_its_range(dtype):
    low = draw(50, 3) - 1
    high = low + draw(50, 3, seed=1).abs() * 10.0 ** torch.arange(-4, -1)
    scale, zero = stored_grid(low, high, 4, dtype)
    assert scale.dtype == zero.dtype == dtype
    assert (zero.float() <= low).all()
    assert (zero.double() + 15 * scale.double() >= high.double() - 1e-6 * high.abs()).all()
    with pytest.raises(ValueError, match=r"do not fit torch\.float16: take a wider dtype"):
        stored_grid(torch.tensor([[-1.0]]), torch.tensor([[1e7]]), 4, torch.float16)


@pytest.mark.parametrize(("columns", "rows", "group_size", "fast"), [(64, 32, 32, True), (50, 7, 16, False)])
def test_an_int4_layer_is_the_layer_of_its_weights_within_bfloat16(columns, rows, group_size, fast):
    linear = nn.Linear(columns, rows)
    layer = Int4Linear.from_linear(linear, group_size)
    assert has_int4_kernel(columns, rows, group_size) is fast
    x = draw(3, 2, columns).transpose(0, 1)
    exact = nn.functional.linear(x, layer.weight, linear.bias)
    assert (layer(x) - exact).norm() < (0.01 if fast else 1e-6) * exact.norm()
    assert (layer.weight - linear.weight).abs().max() < linear.weight.abs().max() / 5
    assert layer(x.bfloat16()).dtype == torch.bfloat16
    assert layer(torch.zeros(0, columns)).shape == (0, rows)
    with pytest.raises(ValueError, match=f"inputs are 3 wide, but the layer was made for {columns}"):
        layer(torch.zeros(1, 3))


def test_an_int4_layer_refuses_codes_of_another_width():
    with pytest.raises(ValueError, match="64 codes fill 32 bytes, got 8"):
        Int4Linear(torch.zeros(2, 8, dtype=torch.uint8), torch.ones(2, 2), torch.ones(2, 2), 64, 32)


class Net(nn.Module):
    """An embedding, a head tied to it, a linear layer used twice, a buffer, a part in eval mode."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.table = nn.Embedding(11, 32)
            self.mix = nn.Linear(32, 32)
            self.head = nn.Linear(32, 11, bias=False)
            self.head.weight = self.table.weight
            self.dropout = nn.Dropout(0.5).eval()
        self.register_buffer("shift", torch.arange(32.0))

    def forward(self, ids):
        x = self.table(ids) + 0.001 * self.shift
        return self.head(self.dropout(x + self.mix(x) + self.mix(-x)))


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_quantized_model_is_a_close_copy_and_the_model_is_as_it_was(kind):
    net, ids = Net(), torch.tensor([[1, 2, 10], [4, 4, 0]])
    net.mix.eval()
    before = copy.deepcopy(net.state_dict())
    quantized = quantize_model(net, kind)
    assert [type(layer).__name__ for layer in (quantized.mix, quantized.head)] == [f"{kind.title()}Linear"] * 2
    exact = net(ids)
    assert (quantized(ids) - exact).norm() < (0.02 if kind == "int8" else 0.2) * exact.norm()
    assert (quantized(ids) != exact).any()
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    assert net.head.weight is net.table.weight
    assert torch.equal(quantized.table.weight, net.table.weight)
    assert quantized.table.weight is not net.table.weight
    assert [layer.training for layer in quantized.modules()] == [layer.training for layer in net.modules()]


def test_only_layers_whose_names_match_are_quantized():
    quantized = quantize_model(Net(), names=["m*"])
    assert [type(layer) for layer in (quantized.mix, quantized.head)][1] is nn.Linear
    assert quantized.head.weight is quantized.table.weight
    assert type(quantize_model(nn.Linear(3, 2))).__name__ == "Int8Linear"
    with pytest.raises(ValueError, match=r"no linear layer is called 'blocks\.\*'; the model's are mix, head"):
        quantize_model(Net(), names=["blocks.*"])
    with pytest.raises(ValueError, match="kind is 'int3'; choose one of int8, int4"):
        quantize_model.__wrapped__(Net(), "int3")


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_the_state_of_a_quantized_model_goes_through_a_file(kind, tmp_path):
    ids = torch.tensor([[1, 2, 10]])
    first, second = quantize_model(Net(1), kind), quantize_model(Net(2), kind)
    expected, other = first(ids), second(ids)
    save_file({name: value.clone() for name, value in first.state_dict().items()}, tmp_path / "q.safetensors")
    second.load_state_dict(load_file(tmp_path / "q.safetensors"))
    assert torch.equal(second(ids), expected)
    assert not torch.equal(expected, other)
    assert torch.equal(copy.deepcopy(first)(ids), expected)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_the_gradient_through_a_quantized_layer_is_that_of_its_weights(kind):
    layer = quantize_model(nn.Linear(32, 16), kind)
    x = draw(5, 32).requires_grad_()
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(5, 32))
    assert not list(layer.parameters())


def test_recorded_inputs_are_those_of_each_layer_and_the_mode_is_kept():
    net = Net().train()
    net.dropout.eval()
    ids = torch.tensor([[1, 2, 10], [4, 4, 0]])
    seen = record_inputs(net, lambda model: model(ids), ["mix"])
    x = (net.table(ids) + 0.001 * net.shift).detach().flatten(0, 1)
    assert seen.keys() == {"mix"}
    assert torch.equal(seen["mix"], torch.cat([x, -x]))
    assert len(record_inputs(net, lambda model: [model(ids) for _ in range(9)], tokens=20)["mix"]) == 20
    assert net.training
    assert not net.dropout.training
    assert not net.mix._forward_pre_hooks


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("group_size", [5, 32])
def test_the_bytes_of_a_model_are_those_of_its_tensors(bits, group_size):
    model = nn.Sequential(Net(), nn.Conv1d(3, 4, 5), nn.LayerNorm(7).bfloat16())
    stored = quantized_tensors(model, bits, group_size)
    assert quantized_bytes(model, bits, group_size) == sum(
        value.untyped_storage().nbytes() for value in stored.values()
    )
    assert "0.head.weight.codes" not in stored  # tied, and there once
    assert {"0.table.weight.codes", "1.weight.codes"} <= stored.keys()


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_saved_weights_come_back_within_half_a_step_and_the_rest_exactly(bits, tmp_path):
    net, other = Net(1), Net(2)
    path = tmp_path / "net.safetensors"
    save_quantized(path, net, bits, 20)
    load_quantized(path, other)
    stored = quantized_tensors(net, bits, 20)
    for name, weight in net.named_parameters():
        back = other.get_parameter(name)
        if weight.ndim == 1:
            assert torch.equal(back, weight)
            continue
        step = stored[f"{name}.scale"].float().repeat_interleave(20, dim=1)[:, : weight.shape[1]]
        assert ((back - weight).abs() <= half_steps(weight.detach(), step)).all()
        assert not torch.equal(back, weight)
    assert other.head.weight is other.table.weight
    assert path.stat().st_size < quantized_bytes(net, bits, 20) + 2000


def test_a_file_that_does_not_fit_is_refused_and_nothing_is_changed(tmp_path):
    path = tmp_path / "net.safetensors"
    save_quantized(path, Net(), 4, 16)
    whole = path.read_bytes()
    with pytest.raises(ValueError, match=r"holds another model: missing .*bias.*, extra .*head|missing"):
        load_quantized(path, nn.Linear(32, 32))
    net = Net(3)
    before = copy.deepcopy(net.state_dict())
    damages = {
        "is damaged": whole[:-9],
        "was not written by save_quantized": None,
        r"is not 11 rows of 32 codes": "wider",
        r"mix.bias in .* has shape \(3,\), not \(32,\)": "bias",
        "missing shift": "missing",
    }
    for words, damage in damages.items():
        tensors = load_file_bytes(whole)
        settings = {"quantization": json.dumps({"bits": 4, "group_size": 16})}
        if isinstance(damage, bytes):
            path.write_bytes(damage)
        else:
            if damage == "wider":
                tensors["table.weight.codes"] = torch.zeros(11, 17, dtype=torch.uint8)
            if damage == "bias":
                tensors["mix.bias"] = torch.zeros(3)
            if damage == "missing":
                del tensors["shift"]
            save_file(tensors, path, None if damage is None else settings)
        with pytest.raises(ValueError, match=words):
            load_quantized(path, net)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    with pytest.raises(FileNotFoundError):
        load_quantized(tmp_path / "absent.safetensors", net)


def load_file_bytes(whole):
    from safetensors.torch import load

    return load(whole)
