"""Plain values as bytes and back: the only thing that crosses between a student's process and the grader.

An answer is JSON. Arrays travel as their raw bytes in base64 with dtype and shape; numbers that JSON lacks (nan,
infinities) and large integers have a form of their own. Nothing is ever unpickled and no class is ever looked up, so
decoding hostile bytes can produce wrong values but can run nothing.

This file is also mounted into the sandbox on its own, so it imports nothing of the grader at import time.
"""

import base64
import binascii
import json
import math
from typing import Any

Plain = Any
"""None, bool, int, float, str, list, dict with str keys, or numpy.ndarray, nested."""

MAX_BYTES = 8 << 20
"""An encoded answer above this is refused: no hidden check needs more than a million float64 numbers."""

MAX_PARTS = 1 << 20
"""Items, lists and dictionaries in one answer: `{}` has two bytes on the wire and 64 in memory."""

MAX_DEPTH = 20
MAX_DIGITS = 100_000
"""Digits of an integer: V**T - 1 for V = 50,000 and T = 100 has 470."""

DTYPES = frozenset(
    [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ]
)


class WireFormatError(ValueError):
    """A value that cannot cross, or bytes that are not an encoded value."""


def encode(value: Plain) -> bytes:
    """Turn a plain value into bytes.

    Tensors become arrays, tuples become lists, numpy scalars become Python numbers. A subclass of a plain type is
    refused, not converted: calling its methods would run the student's code once more.

    Raises:
        WireFormatError: for a value that is not plain, and for an encoding above `MAX_BYTES`.

    >>> decode(encode({"loss": float("inf"), "shape": (2, 3)}))
    {'loss': inf, 'shape': [2, 3]}
    """
    data = json.dumps(_pack(value, 0), separators=(",", ":"), allow_nan=False).encode()
    if len(data) > MAX_BYTES:
        raise WireFormatError(f"the answer takes {len(data):,} bytes; at most {MAX_BYTES:,} can be returned")
    return data


def _pack(value: Plain, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise WireFormatError(f"the answer is nested more than {MAX_DEPTH} deep")
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        # hexadecimal: Python refuses to print decimal integers of more than 4,300 digits
        return value if abs(value) < 1 << 53 else {"~": "int", "hex": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"~": "float", "repr": repr(value)}
    if kind is list or kind is tuple:
        return [_pack(item, depth + 1) for item in value]
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise WireFormatError(f"a dictionary key is {type(key).__name__}; keys must be strings")
        packed = {key: _pack(item, depth + 1) for key, item in value.items()}
        return {"~": "dict", "items": packed} if "~" in packed else packed
    return _pack_array(value)


def _pack_array(value: Plain) -> Any:
    import sys

    import numpy as np

    torch = sys.modules.get("torch")
    if torch is not None and type(value) in (torch.Tensor, torch.nn.Parameter):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, np.generic) and type(value).__module__ == "numpy":
        return _pack(value.item(), 0)
    if type(value) is not np.ndarray:
        raise WireFormatError(
            f"a value of type {type(value).__name__} cannot be returned; "
            "use None, bool, int, float, str, list, dict, numpy.ndarray or torch.Tensor"
        )
    if value.dtype.name not in DTYPES:
        raise WireFormatError(f"an array of {value.dtype} cannot be returned; use one of {', '.join(sorted(DTYPES))}")
    raw = np.ascontiguousarray(value).tobytes()
    return {
        "~": "array",
        "dtype": value.dtype.name,
        "shape": list(value.shape),
        "data": base64.b64encode(raw).decode(),
    }


def decode(data: bytes) -> Plain:
    """Turn bytes back into a plain value; arrays come back as numpy arrays.

    Raises:
        WireFormatError: for anything that `encode` cannot have produced. Never anything else, whatever the bytes.
    """
    if len(data) > MAX_BYTES:
        raise WireFormatError(f"the answer takes {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    if _parts(data) > MAX_PARTS:
        raise WireFormatError(f"the answer holds more than {MAX_PARTS:,} items; return an array")
    try:
        return _unpack(json.loads(data, parse_constant=_no_constant, parse_int=_parse_int), 0)
    except WireFormatError:
        raise
    except (ValueError, RecursionError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise WireFormatError(f"the answer is not well formed: {type(error).__name__}") from None


def weight(data: bytes) -> int:
    """About the bytes of memory that decoding takes, for whoever keeps many answers."""
    return len(data) + 64 * _parts(data)


def _parts(data: bytes) -> int:
    """At least the number of items, lists and dictionaries in an encoded value."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _no_constant(name: str) -> Any:
    raise WireFormatError(f"the answer holds a bare {name}")


def _parse_int(digits: str) -> int:
    if len(digits) > 17:
        raise WireFormatError("the answer holds an integer that was not encoded")
    return int(digits)


def _unpack(value: Any, depth: int) -> Plain:
    if depth > MAX_DEPTH:
        raise WireFormatError(f"the answer is nested more than {MAX_DEPTH} deep")
    if isinstance(value, list):
        return [_unpack(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("~")
    if kind is None:
        return {key: _unpack(item, depth + 1) for key, item in value.items()}
    if kind == "dict" and isinstance(value["items"], dict):
        return {key: _unpack(item, depth + 1) for key, item in value["items"].items()}
    if kind == "float" and value["repr"] in ("nan", "inf", "-inf"):
        return float(value["repr"])
    if kind == "int" and isinstance(value["hex"], str) and len(value["hex"]) <= MAX_DIGITS:
        return int(value["hex"], 16)
    if kind == "array":
        return _unpack_array(value)
    raise WireFormatError(f"the answer holds an unknown form {str(kind)[:40]!r}")


def _unpack_array(value: dict[str, Any]) -> Any:
    import numpy as np

    dtype, shape, data = value["dtype"], value["shape"], value["data"]
    if dtype not in DTYPES:
        raise WireFormatError(f"the answer holds an array of {str(dtype)[:40]!r}")
    if not (isinstance(shape, list) and len(shape) <= 32 and all(type(n) is int and n >= 0 for n in shape)):
        raise WireFormatError("the answer holds an array with a malformed shape")
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error:
        raise WireFormatError("the answer holds an array with malformed data") from None
    if len(raw) != math.prod(shape) * np.dtype(dtype).itemsize:
        raise WireFormatError("the answer holds an array whose size does not match its shape")
    return np.frombuffer(raw, dtype=dtype).reshape(shape).copy()
