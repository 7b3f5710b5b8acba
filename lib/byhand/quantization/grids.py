"""Weights on an evenly spaced grid: affine and symmetric, for a tensor, a row, or a group within a row.

Holds the grids of round-to-nearest and the way back. A number is `codes * scale + zero`: `zero` is what code 0
stands for, a number in the units of the weights, so that both ends of a range are met; an integer zero point z, as
torch has it, is `zero = -z * scale`. Leaves out how codes are stored (`byhand.quantization.bits`) and grids chosen
for a layer's output (`byhand.quantization.clipping`). Built in chapter 14.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int8, Shaped, UInt8
from torch import Tensor

Per = Literal["tensor", "channel"]


def quantize_affine(
    weight: Float[Tensor, "rows columns"], bits: int, per: Per = "channel"
) -> tuple[UInt8[Tensor, "rows columns"], Float[Tensor, "grids 1"], Float[Tensor, "grids 1"]]:
    """Codes 0 ... 2^bits - 1 on a grid from the smallest to the largest weight of each row, or of all.

    Both ends lie on the grid, and no weight moves by more than half a step. A row whose weights are all the same is
    kept exactly. Jacob et al. 2018, section 2.1, with a real number for the zero point.

    Args:
        weight: of a linear layer, (out, in).
        bits: 1 to 8.
        per: one grid for each row ("channel") or one for all ("tensor").

    Returns:
        The codes, the step of each grid and what its code 0 stands for.

    Raises:
        ValueError: when `bits` is not 1 to 8, or the weights are none, not finite or too far apart.

    >>> codes, scale, zero = quantize_affine(torch.tensor([[-1.0, 0.2, 0.5, 2.0]]), bits=2)
    >>> codes.tolist(), scale.tolist(), zero.tolist()
    ([[0, 1, 2, 3]], [[1.0]], [[-1.0]])
    """
    if per == "tensor":
        codes, scale, zero = quantize_affine(weight.reshape(1, -1), bits)
        return codes.view(weight.shape), scale, zero
    return quantize_groups(weight, bits, group_size=max(1, weight.shape[1]))


def quantize_groups(
    weight: Float[Tensor, "rows columns"], bits: int, group_size: int
) -> tuple[UInt8[Tensor, "rows columns"], Float[Tensor, "rows groups"], Float[Tensor, "rows groups"]]:
    """The same with a grid of its own for every `group_size` neighbours in a row; the last group may be shorter.

    Raises:
        ValueError: as `quantize_affine`, and when `group_size` is below 1.

    >>> codes, scale, zero = quantize_groups(torch.tensor([[0.0, 3.0, 10.0, 16.0, 7.0]]), bits=2, group_size=2)
    >>> codes.tolist(), scale[:, :2].tolist(), zero.tolist()
    ([[0, 3, 0, 3, 0]], [[1.0, 2.0]], [[0.0, 10.0, 7.0]])
    """
    low, high = group_ends(weight, group_size)
    scale, zero = affine_grid(low, high, bits)
    return round_to_grid(weight, scale, zero, bits, group_size), scale, zero


def quantize_symmetric(
    weight: Float[Tensor, "rows columns"], bits: int, per: Per = "channel", group_size: int | None = None
) -> tuple[Int8[Tensor, "rows columns"], Float[Tensor, "grids groups"]]:
    """Signed codes on a grid around zero, without a zero point: a weight is `codes * scale`.

    Codes run from -(2^(bits-1) - 1) to 2^(bits-1) - 1, as many on either side, so that zero and a change of sign are
    exact; the one code more that two's complement has is not used. Wu et al. 2020, section 3.1.2.

    Args:
        weight: of a linear layer, (out, in).
        bits: 2 to 8.
        per: one grid for each row ("channel") or one for all ("tensor").
        group_size: neighbours in a row that share a grid instead; the last group may be shorter.

    Raises:
        ValueError: as `quantize_groups`; when `bits` is 1, which leaves no code but zero; or when groups are asked
            for and one grid for all too.

    >>> codes, scale = quantize_symmetric(torch.tensor([[-1.0, 0.2, 0.5, 2.0]]), bits=3)
    >>> codes.tolist(), round(scale.item(), 4)
    ([[-2, 0, 1, 3]], 0.6667)
    """
    if bits == 1:
        raise ValueError("bits must be 2 or more for a symmetric grid: with 1 its only code is zero")
    check_bits(bits)
    if per == "tensor":
        if group_size is not None:
            raise ValueError('per="tensor" is one grid for all: leave group_size out, or take per="channel"')
        codes, scale = quantize_symmetric(weight.reshape(1, -1), bits)
        return codes.view(weight.shape), scale
    group_size = max(1, weight.shape[1]) if group_size is None else group_size
    low, high = group_ends(weight, group_size)
    most = 2 ** (bits - 1) - 1
    scale = at_least_normal(torch.maximum(-low, high) / most)
    codes = (weight.detach().to(scale.dtype) / spread(scale, weight.shape, group_size)).round_()
    return codes.clamp_(-most, most).to(torch.int8), scale


def dequantize(
    codes: Shaped[Tensor, "rows columns"],
    scale: Float[Tensor, "grids groups"],
    zero: Float[Tensor, "grids groups"] | None = None,
    group_size: int | None = None,
) -> Float[Tensor, "rows columns"]:
    """The weights that codes stand for, in the dtype of `scale`: `codes * scale + zero`.

    Args:
        codes: integers.
        scale: the step, for each row or one for all; one for each group where there are groups.
        zero: what code 0 stands for; 0 unless given, as a symmetric grid has it.
        group_size: neighbours in a row that share a grid; the whole row unless given.

    Raises:
        ValueError: when the scales are not one for each group of each row.

    >>> dequantize(torch.tensor([[0, 3, 1]]), torch.tensor([[2.0]]), torch.tensor([[-1.0]])).tolist()
    [[-1.0, 5.0, 1.0]]
    """
    weight = codes.to(scale.dtype) * spread(scale, codes.shape, group_size)
    return weight if zero is None else weight + spread(zero, codes.shape, group_size)


def round_to_grid(
    weight: Float[Tensor, "rows columns"],
    scale: Float[Tensor, "grids groups"],
    zero: Float[Tensor, "grids groups"],
    bits: int,
    group_size: int | None = None,
) -> UInt8[Tensor, "rows columns"]:
    """The code of the grid point nearest to each weight; beyond the ends of the grid, the end.

    >>> round_to_grid(torch.tensor([[-9.0, 0.9, 3.6]]), torch.ones(1, 1), torch.zeros(1, 1), bits=2).tolist()
    [[0, 1, 3]]
    """
    check_bits(bits)
    offset = weight.detach().to(scale.dtype) - spread(zero, weight.shape, group_size)
    return (offset / spread(scale, weight.shape, group_size)).round_().clamp_(0, 2**bits - 1).to(torch.uint8)


def effective_bits(bits: int, group_size: int, meta_bits: int) -> float:
    """Bits a weight really takes: its code, and its share of what is stored for its group.

    Args:
        bits: of a code.
        group_size: weights that share a grid.
        meta_bits: what a group stores besides: 32 for a scale and a zero in fp16, 64 in fp32, 16 for a scale alone.

    Raises:
        ValueError: when an argument is out of its range.

    >>> effective_bits(4, group_size=32, meta_bits=32)
    5.0
    >>> 32 / effective_bits(4, group_size=32, meta_bits=32)  # not 32 / 4
    6.4
    """
    check_bits(bits)
    check_group_size(group_size)
    if meta_bits < 0:
        raise ValueError(f"meta_bits must be 0 or more, got {meta_bits}")
    return bits + meta_bits / group_size


def affine_grid(
    low: Float[Tensor, "rows groups"], high: Float[Tensor, "rows groups"], bits: int
) -> tuple[Float[Tensor, "rows groups"], Float[Tensor, "rows groups"]]:
    """Step and start of the grid of 2^bits points from `low` to `high`; the step is above zero."""
    check_bits(bits)
    return at_least_normal((high - low) / (2**bits - 1)), low


def group_ends(
    weight: Float[Tensor, "rows columns"], group_size: int
) -> tuple[Float[Tensor, "rows groups"], Float[Tensor, "rows groups"]]:
    """The smallest and the largest weight of each group, in float32 at least.

    Raises:
        ValueError: when there are no weights, one is not finite, or their distance is beyond the dtype.
    """
    groups = grouped(weight, group_size)
    low, high = groups.amin(dim=-1), groups.amax(dim=-1)
    if not torch.isfinite(high - low).all():
        raise ValueError("weights hold NaN, infinity or numbers too far apart for their dtype: mend them first")
    return low, high


def grouped(weight: Float[Tensor, "rows columns"], group_size: int) -> Float[Tensor, "rows groups group_size"]:
    """The groups of each row, in float32 at least; a short last group repeats its last weight.

    Raises:
        ValueError: when there are no weights or `group_size` is below 1.
    """
    check_group_size(group_size)
    if weight.numel() == 0:
        raise ValueError(f"weights of shape {tuple(weight.shape)} are none: there is no range to quantize")
    weight = weight.detach()
    weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
    rows, columns = weight.shape
    short = -columns % group_size
    if short:
        weight = torch.cat([weight, weight[:, -1:].expand(rows, short)], dim=1)
    return weight.reshape(rows, -1, group_size)


def spread(
    values: Float[Tensor, "grids groups"], shape: tuple[int, ...], group_size: int | None
) -> Float[Tensor, "grids columns"]:
    """A value for each column from one for each group; the columns stay 1 where a whole row shares its grid.

    Raises:
        ValueError: when there is not a value for each group.
    """
    rows, columns = shape
    groups = 1 if group_size is None else -(-columns // group_size)
    if values.shape not in ((rows, groups), (1, groups)):
        raise ValueError(
            f"scale and zero must have shape {(rows, groups)}, got {tuple(values.shape)}: one for each of "
            f"{groups} groups in {rows} rows"
        )
    return values if groups == 1 else values.repeat_interleave(group_size or 1, dim=1)[:, :columns]


def at_least_normal(scale: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """A step that can be divided by: below the smallest normal number it has lost its digits."""
    return scale.clamp_min(torch.finfo(scale.dtype).tiny)


def check_bits(bits: int) -> None:
    """Refuse what does not fit in a byte.

    Raises:
        ValueError: when it does not.
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"bits must be 1 to 8, got {bits}: a code is kept in one byte")


def check_group_size(group_size: int) -> None:
    """Refuse a group of nothing.

    Raises:
        ValueError: when it is one.
    """
    if group_size < 1:
        raise ValueError(f"group_size must be at least 1, got {group_size}: it counts neighbouring weights")
