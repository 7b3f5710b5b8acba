"""The wire format: what plain values survive, and that hostile bytes end in one kind of error."""

import base64
import contextlib
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grader import wire
from grader.wire import WireFormatError, decode, encode

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | st.just("~"), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
@settings(max_examples=200, deadline=None)
def test_plain_values_make_the_round_trip(value):
    assert decode(encode(value)) == value


@pytest.mark.parametrize("dtype", sorted(wire.DTYPES))
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3)])
def test_arrays_keep_dtype_shape_and_bits(dtype, shape):
    array = (np.arange(math.prod(shape)) * 3 % 7).reshape(shape).astype(dtype)
    back = decode(encode(array))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


def test_a_transposed_array_arrives_as_it_reads():
    array = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(decode(encode(array)), array)


def test_tensors_arrive_as_arrays_and_bfloat16_as_float32():
    assert decode(encode(torch.ones(2, dtype=torch.int64))).dtype == np.int64
    assert decode(encode(torch.ones(2, dtype=torch.bfloat16))).dtype == np.float32
    weight = torch.nn.Linear(2, 3).weight
    np.testing.assert_array_equal(decode(encode(weight)), weight.detach().numpy())


def test_numbers_that_json_lacks_make_the_round_trip():
    assert math.isnan(decode(encode(float("nan"))))
    assert decode(encode([float("inf"), -float("inf")])) == [math.inf, -math.inf]
    assert decode(encode(50_000**100 - 1)) == 50_000**100 - 1
    assert decode(encode(-(2**4000))) == -(2**4000)
    assert decode(encode(np.float64(1.5))) == 1.5
    assert type(decode(encode(np.int64(3)))) is int


class Liar(float):
    """Equal to everything."""

    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


class LyingArray(np.ndarray):
    """A subclass whose methods the grader must never call."""

    def tobytes(self, *arguments):
        raise AssertionError("called")


class Reduced:
    """An object that would run code when unpickled."""

    def __reduce__(self):
        return (print, ("gotcha",))


@pytest.mark.parametrize(
    "value",
    [
        Liar(1.0),
        np.zeros(2).view(LyingArray),
        Reduced(),
        {1: 2},
        {"a": object()},
        b"bytes",
        {1, 2},
        np.array([object()]),
        np.array(["text"]),
        1j,
        lambda: 0,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_is_refused_by_the_sender(value):
    with pytest.raises(WireFormatError, match=r"cannot be returned|keys must be strings"):
        encode(value)


def test_a_cycle_and_a_flood_are_refused_by_the_sender():
    cycle: list = []
    cycle.append(cycle)
    with pytest.raises(WireFormatError, match="nested more than"):
        encode(cycle)
    with pytest.raises(WireFormatError, match="at most"):
        encode(np.zeros(wire.MAX_BYTES, dtype=np.uint8))


def packed_array(**changes):
    """The JSON form of a two-element array, with some parts replaced."""
    good = {"~": "array", "dtype": "float64", "shape": [2], "data": base64.b64encode(b"\0" * 16).decode()}
    return json.dumps(good | changes).encode()


HOSTILE = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b'"\xff\xfe"',
    "bare NaN": b"NaN",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep within limits of json": b"[" * 50 + b"]" * 50,
    "long integer": b"1" * 5000,
    "unknown form": b'{"~": "pickle", "data": "gASV"}',
    "form is a list": b'{"~": ["dict"], "items": {}}',
    "dict without items": b'{"~": "dict"}',
    "float of words": b'{"~": "float", "repr": "1e999"}',
    "int of words": b'{"~": "int", "hex": "zz"}',
    "int is null": b'{"~": "int", "hex": null}',
    "object dtype": packed_array(dtype="object"),
    "dtype is a list": packed_array(dtype=["float64"]),
    "negative shape": packed_array(shape=[-2]),
    "huge shape": packed_array(shape=[10**18, 10**18]),
    "boolean shape": packed_array(shape=[True, True]),
    "shape is text": packed_array(shape="2"),
    "too many axes": packed_array(shape=[1] * 40 + [2]),
    "short data": packed_array(data="AAAA"),
    "not base64": packed_array(data="%%%%"),
    "data is a number": packed_array(data=7),
    "more items than an answer has": b"[" + b"{}," * 600_000 + b"{}]",
    "over the cap": b'"' + b"x" * (wire.MAX_BYTES + 1) + b'"',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_end_in_a_wire_error_and_nothing_else(data):
    with pytest.raises(WireFormatError):
        decode(data)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_bytes_at_all_end_in_anything_but_a_value_or_a_wire_error(data):
    with contextlib.suppress(WireFormatError):
        decode(data)


def test_what_takes_memory_weighs_more_than_its_bytes():
    dictionaries, array = b"[" + b"{}," * 1000 + b"{}]", encode(np.zeros(375))
    assert len(array) > len(dictionaries)
    assert wire.weight(dictionaries) > 64 * 1000 > 10 * wire.weight(array)


def test_a_decoded_array_is_a_copy_that_can_be_written():
    array = decode(packed_array())
    array[0] = 1.0
    assert array.flags.owndata
