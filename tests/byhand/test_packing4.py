"""Codes packed into bytes: round trips at every length, the order of the bits, and what does not fit."""

import pytest
import torch
from byhand.quantization import pack4, pack_bits, unpack4, unpack_bits


def codes_of(*shape, bits=4, seed=0):
    return torch.randint(2**bits, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 17])
def test_four_bit_codes_come_back_and_take_half_the_bytes(n):
    for shape in ((n,), (3, n), (2, 3, n)):
        codes = codes_of(*shape)
        packed = pack4(codes)
        assert packed.dtype == torch.uint8
        assert packed.shape == (*shape[:-1], (n + 1) // 2)
        assert torch.equal(unpack4(packed, n), codes)


def test_the_first_code_is_the_low_half_and_an_odd_end_leaves_the_high_half_empty():
    assert pack4(torch.tensor([[0, 15], [15, 0], [3, 12]])).flatten().tolist() == [0xF0, 0x0F, 0xC3]
    assert pack4(torch.tensor([9])).tolist() == [9]


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("n", [0, 1, 5, 8, 13])
def test_codes_of_any_bits_come_back_without_a_gap_between(bits, n):
    codes = codes_of(4, n, bits=bits)
    packed = pack_bits(codes, bits)
    assert packed.shape == (4, (n * bits + 7) // 8)
    assert torch.equal(unpack_bits(packed, bits, n), codes)
    stream = sum(int(code) << (place * bits) for place, code in enumerate(codes[2]))
    assert packed[2].tolist() == list(stream.to_bytes(packed.shape[1], "little"))


def test_four_bits_are_packed_the_same_by_both():
    codes = codes_of(3, 11)
    assert torch.equal(pack_bits(codes, 4), pack4(codes))
    assert torch.equal(unpack_bits(pack4(codes), 4, 11), codes)


def test_packing_takes_any_integers_and_strides_and_leaves_them_alone():
    codes = codes_of(6, 5).T
    kept = codes.clone()
    assert torch.equal(unpack4(pack4(codes.long()), 6), codes)
    assert torch.equal(unpack4(pack4(codes), 6), codes)
    assert torch.equal(codes, kept)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pack4(torch.tensor([16])), "codes run from 16 to 16, but 4 bits hold 0 to 15"),
        (lambda: pack4(torch.tensor([-1, 3])), "add 8 to signed codes"),
        (lambda: pack_bits(torch.tensor([2]), 1), "but 1 bits hold 0 to 1"),
        (lambda: pack4(torch.tensor([1.0])), "codes must be integers, got torch.float32: quantize first"),
        (lambda: pack_bits(torch.tensor([1]), 0), "bits must be 1 to 8, got 0"),
        (lambda: unpack4(torch.zeros(2, dtype=torch.uint8), 5), "5 codes of 4 bits fill 3 bytes, but each row has 2"),
        (lambda: unpack4(torch.zeros(2, dtype=torch.uint8), 2), "2 codes of 4 bits fill 1 bytes"),
        (lambda: unpack_bits(torch.zeros(2, dtype=torch.uint8), 3, -1), "-1 codes of 3 bits"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(call, words):
    with pytest.raises(ValueError, match=words):
        call()
