"""Codes of a few bits, packed into bytes without gaps.

Holds the two codes to a byte of four-bit weights, and the same for 1 to 8 bits. The first code takes the lowest
bits. Each row starts with a byte of its own. Leaves out the layouts that fast kernels want
(`byhand.quantization.int4`). Built in chapter 14.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Shaped, UInt8
from torch import Tensor

from byhand.quantization.grids import check_bits


def pack4(codes: Shaped[Tensor, "*rows columns"]) -> UInt8[Tensor, "*rows bytes"]:
    """Two codes of four bits in each byte: the even place in the low half, the odd in the high half.

    An odd number of codes leaves the last high half 0.

    Raises:
        ValueError: when a code is not an integer from 0 to 15.

    >>> pack4(torch.tensor([1, 2, 15])).tolist()
    [33, 15]
    """
    codes = _checked(codes, 4)
    if codes.shape[-1] % 2:
        codes = F.pad(codes, (0, 1))
    return codes[..., 0::2] | (codes[..., 1::2] << 4)


def unpack4(packed: UInt8[Tensor, "*rows bytes"], n: int) -> UInt8[Tensor, "*rows columns"]:
    """The first `n` codes of each row of what `pack4` packed.

    Raises:
        ValueError: when so many codes do not fill just so many bytes.

    >>> unpack4(torch.tensor([33, 15], dtype=torch.uint8), 3).tolist()
    [1, 2, 15]
    """
    _check_length(packed, 4, n)
    return torch.stack([packed & 15, packed >> 4], dim=-1).flatten(-2)[..., :n]


def pack_bits(codes: Shaped[Tensor, "*rows columns"], bits: int) -> UInt8[Tensor, "*rows bytes"]:
    """Codes of `bits` bits one after the other, lowest bit first, across the borders of bytes.

    Raises:
        ValueError: when `bits` is not 1 to 8, or a code is not an integer of so many bits.

    >>> [f"{byte:08b}" for byte in pack_bits(torch.tensor([1, 2, 7]), bits=3).tolist()]
    ['11010001', '00000001']
    """
    codes = _checked(codes, bits)
    places = torch.arange(8, dtype=torch.uint8, device=codes.device)
    stream = ((codes.unsqueeze(-1) >> places[:bits]) & 1).flatten(-2)
    length = packed_length(codes.shape[-1], bits)
    stream = F.pad(stream, (0, 8 * length - stream.shape[-1]))
    packed: Tensor = (stream.reshape(*stream.shape[:-1], length, 8) << places).sum(dim=-1, dtype=torch.uint8)
    return packed


def unpack_bits(packed: UInt8[Tensor, "*rows bytes"], bits: int, n: int) -> UInt8[Tensor, "*rows columns"]:
    """The first `n` codes of each row of what `pack_bits` packed.

    Raises:
        ValueError: when `bits` is not 1 to 8, or so many codes do not fill just so many bytes.

    >>> unpack_bits(torch.tensor([209, 1], dtype=torch.uint8), bits=3, n=3).tolist()
    [1, 2, 7]
    """
    check_bits(bits)
    _check_length(packed, bits, n)
    places = torch.arange(8, dtype=torch.uint8, device=packed.device)
    stream = ((packed.unsqueeze(-1) >> places) & 1).flatten(-2)[..., : n * bits]
    codes: Tensor = (stream.reshape(*packed.shape[:-1], n, bits) << places[:bits]).sum(dim=-1, dtype=torch.uint8)
    return codes


def packed_length(n: int, bits: int) -> int:
    """Bytes that `n` codes of `bits` bits fill.

    >>> packed_length(3, bits=3)
    2
    """
    return -(-n * bits // 8)


def _checked(codes: Tensor, bits: int) -> Tensor:
    check_bits(bits)
    if codes.is_floating_point() or codes.is_complex():
        raise ValueError(f"codes must be integers, got {codes.dtype}: quantize first")
    low, high = (int(codes.min()), int(codes.max())) if codes.numel() else (0, 0)
    if low < 0 or high >= 2**bits:
        raise ValueError(
            f"codes run from {low} to {high}, but {bits} bits hold 0 to {2**bits - 1}; "
            f"add {2 ** (bits - 1)} to signed codes"
        )
    return codes.to(torch.uint8)


def _check_length(packed: Tensor, bits: int, n: int) -> None:
    if n < 0 or packed.shape[-1] != packed_length(n, bits):
        raise ValueError(
            f"{n} codes of {bits} bits fill {packed_length(n, bits)} bytes, but each row has {packed.shape[-1]}"
        )
