"""Figures of numbers in few bits: a grid laid over weights, and what fp16 holds of a gradient.

They count what even grids and fp16 itself make of the page's own numbers; how better grids and scales are found is
the chapters' matter. Belongs to no chapter.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from byhand.widgets.widget import Widget, table

BITS = range(2, 9)
META = 32
"""Bits that a grid itself takes: its scale and zero in fp16."""

GONE = 2.0**-25
"""The largest magnitude that fp16 rounds to zero."""
FULL = 2.0**-14 - 2.0**-25
"""The smallest that it rounds to a number with all its digits."""
INFINITE = 65520.0
"""The smallest that it rounds to infinity."""


def quantization_grid(
    weight: Float[np.ndarray, "rows columns"],
    group_size: int = 32,
    rows: tuple[int, ...] | None = None,
    shown: int = 128,
) -> Widget:
    """Weights of a row and the levels of their grid, in 2 to 8 bits, with a grid for the matrix, a row or a group.

    A grid's levels run evenly from the least to the largest of the weights that share it. An error is the root of
    the mean squared change, in percent of that of the weights.

    Args:
        weight: of a linear layer, a row for each output.
        group_size: neighbours in a row that share a grid.
        rows: that can be looked at, as numpy counts them; by default that of the largest weight and a middling one.
        shown: how many of a row's weights are drawn, those around its largest.

    Raises:
        ValueError: when a weight is not finite, all are zero, a group is empty, or there is no such row.

    >>> quantization_grid(np.array([[0.0, 0.1, 0.2, 0.3], [0.0, 1.0, 2.0, 9.0]]), group_size=2)
    2 × 4 weights in 4 bits. Error with a grid for the whole matrix: 5.05 %, each row: 3.05 %, each group of 2: 0 %.
    """
    n_rows, columns = weight.shape
    weight = weight.astype(np.float64)
    if not np.isfinite(weight).all() or not weight.any():
        raise ValueError("weights must be finite and not all zero: pass the matrix of a trained layer")
    if group_size < 1:
        raise ValueError(f"group_size is {group_size}, but a group has a weight at least")
    largest = int(np.abs(weight).max(axis=1).argmax())
    if rows is None:
        middle = int(np.argsort(np.ptp(weight, axis=1), kind="stable")[n_rows // 2])
        rows = (largest,) if middle == largest else (largest, middle)
    if not rows or not all(0 <= row < n_rows for row in rows):
        raise ValueError(f"rows={rows} must name rows of 0 to {n_rows - 1}")
    windows = [_window(weight[row], group_size, shown) for row in rows]
    units = [
        float(np.abs(weight[row, first:last]).max()) or 1.0 for row, (first, last) in zip(rows, windows, strict=True)
    ]
    names = ["the whole matrix", "each row", f"each group of {group_size}"]
    grids: list[dict[str, Any]] = []
    for name, width in zip(names, (weight.size, columns, group_size), strict=True):
        rounded = [_rounded(weight, width, bits) for bits in BITS]
        count = 1 if width == weight.size else n_rows * -(-columns // width)
        grids.append(
            {
                "name": name,
                "takes": [round(bits + META * count / weight.size, 2) for bits in BITS],
                "errors": [_error(back, weight) for _, back in rounded],
                "rows": [
                    {
                        "errors": [_error(back[row], weight[row]) for _, back in rounded],
                        "used": [_used(codes[row], width) for codes, _ in rounded],
                        "spans": _spans(weight, row, width, window, unit),
                    }
                    for row, window, unit in zip(rows, windows, units, strict=True)
                ],
            }
        )
    state = {
        "bits": list(BITS),
        "grids": grids,
        "rows": [
            {
                "name": f"{row} (largest weight)" if row == largest else f"{row}",
                "unit": float(f"{unit:.4g}"),
                "values": np.rint(1000 * weight[row, first:last] / unit).astype(int).tolist(),
            }
            for row, (first, last), unit in zip(rows, windows, units, strict=True)
        ],
    }
    lines = [[bits, *(f"{grid['errors'][at]:g} %" for grid in grids)] for at, bits in enumerate(BITS)]
    four = [f"{grid['name']}: {grid['errors'][BITS.index(4)]:g} %" for grid in grids]
    return Widget(
        "quantization-grid",
        state,
        table(f"Error of {n_rows} × {columns} weights, by bits and by what shares a grid", ["Bits", *names], lines),
        f"{n_rows} × {columns} weights in 4 bits. Error with a grid for {', '.join(four)}.",
    )


def _rounded(weight: np.ndarray, width: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes, and the weights that they stand for, when runs of `width` weights share a grid."""
    view = weight.reshape(1, -1) if width == weight.size else weight
    codes, back = np.empty_like(view), np.empty_like(view)
    for start in range(0, view.shape[1], width):
        piece = view[:, start : start + width]
        low = piece.min(axis=1, keepdims=True)
        step = np.ptp(piece, axis=1, keepdims=True) / (2**bits - 1)
        step[step == 0] = 1  # equal weights: all have code 0
        codes[:, start : start + width] = np.rint((piece - low) / step)
        back[:, start : start + width] = codes[:, start : start + width] * step + low
    return codes.reshape(weight.shape), back.reshape(weight.shape)


def _error(back: np.ndarray, weight: np.ndarray) -> float:
    size = float(np.sqrt((weight**2).mean()))
    return _percent(float(np.sqrt(((back - weight) ** 2).mean())), size) if size else 0.0


def _used(codes: np.ndarray, width: int) -> float:
    """How many levels a grid's part of the row uses, on average."""
    parts = [codes[start : start + width] for start in range(0, len(codes), width)]
    return round(sum(len(np.unique(part)) for part in parts) / len(parts), 1)


def _window(row: np.ndarray, group_size: int, shown: int) -> tuple[int, int]:
    """Whole groups around the row's largest weight, about `shown` weights of them."""
    groups, most = -(-len(row) // group_size), max(1, shown // group_size)
    group = int(np.abs(row).argmax()) // group_size
    first = max(0, min(group - most // 2, groups - most)) * group_size
    return first, min(len(row), first + most * group_size)


def _spans(weight: np.ndarray, row: int, width: int, window: tuple[int, int], unit: float) -> list[list[float]]:
    """Of each grid in the window: its first and last place there, its least and its largest level."""
    first, last = window
    if width == weight.size:
        pieces = [(first, last, weight)]
    else:
        pieces = [
            (start, start + width, weight[row, start : start + width]) for start in range(0, weight.shape[1], width)
        ]
    return [
        [
            max(start, first) - first,
            min(end, last) - first,
            *(round(1000 * float(x) / unit, 2) for x in (part.min(), part.max())),
        ]
        for start, end, part in pieces
        if start < last and end > first
    ]


def loss_scaling(gradient: Float[np.ndarray, " numbers"], largest: int = 24) -> Widget:
    """A gradient's magnitudes beside what fp16 can hold, when the loss is multiplied by a power of two.

    Args:
        gradient: all numbers of it, computed in float32.
        largest: power of two that can be chosen.

    Raises:
        ValueError: when a number is not finite, all are zero, or the largest power is negative.

    >>> loss_scaling(np.array([2.0**-30, 2.0**-20, 1.0, 0.0]), largest=18)
    3 numbers that are not 0. Loss times 2^0: 33.3 % become zero, 0 % infinite; 2^18: 0 % become zero, 33.3 % infinite.
    """
    magnitude = np.sort(np.abs(np.asarray(gradient, dtype=np.float64)).ravel())
    if not np.isfinite(magnitude).all() or not magnitude.any():
        raise ValueError("a gradient must be finite and not all zero: compute it in float32, without a scale")
    if largest < 0:
        raise ValueError(f"largest is {largest}: scales run from 2^0 to 2^largest")
    magnitude = magnitude[magnitude > 0]
    exponents = np.floor(np.log2(magnitude)).astype(int)
    first = int(exponents[0])
    counts = np.bincount(exponents - first)
    scales = []
    for power in range(largest + 1):
        scale = 2.0**power
        gone = int(np.searchsorted(magnitude, GONE / scale, side="right"))
        poor = int(np.searchsorted(magnitude, FULL / scale, side="left")) - gone
        infinite = len(magnitude) - int(np.searchsorted(magnitude, INFINITE / scale, side="left"))
        scales.append([_percent(part, len(magnitude)) for part in (gone, poor, infinite)])
    fits = [power for power, (_, _, infinite) in enumerate(scales) if not infinite]
    lines = [
        [f"2^{power}", *(f"{share:g} %" for share in scales[power])]
        for power in sorted({*range(0, largest + 1, 4), largest})
    ]
    spoken = [
        f"2^{power}: {scales[power][0]:g} % become zero, {scales[power][2]:g} % infinite" for power in (0, largest)
    ]
    return Widget(
        "loss-scaling",
        {
            "total": len(magnitude),
            "zeros": int(np.size(gradient)) - len(magnitude),
            "first": first,
            "shares": [_percent(int(count), len(magnitude)) for count in counts],
            "scales": scales,
            "fits": fits[-1] if fits else None,
        },
        table(
            f"What fp16 loses of {len(magnitude):,} numbers of a gradient",
            ["Loss times", "Become zero", "Subnormal: digits lost", "Infinite"],
            lines,
        ),
        f"{len(magnitude):,} numbers that are not 0. Loss times {'; '.join(spoken)}.",
    )


def _percent(part: float, whole: float) -> float:
    """With three digits that count, so that one in a million is not none."""
    return float(f"{100 * part / whole:.3g}")
