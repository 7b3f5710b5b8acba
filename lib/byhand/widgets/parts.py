"""Figures that take a part of a model apart: where a head looks, how a word is merged, what a rank keeps.

Nothing here computes what a chapter teaches and asks for: the page hands over what its own code found, and these
functions round it, lay it out, and say it in words. Belongs to no chapter.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from byhand.widgets.widget import Widget, table, visible

BARS = 32
"""Singular values that are drawn; the others are in the sums."""


def attention_map(
    tokens: Sequence[str], weights: Float[np.ndarray, "layers heads queries keys"], start: tuple[int, int] = (1, 1)
) -> Widget:
    """Who looks at whom in one text, for every layer and head, in whole percent.

    Args:
        tokens: of the text, as the model reads them.
        weights: of attention; each query's weights sum to 1.
        start: the layer and the head that are shown first, both counted from 1.

    Raises:
        ValueError: when the sizes do not fit, the weights are no shares, or `start` is not among them.

    >>> weights = np.array([[[[1.0, 0.0], [0.25, 0.75]]]])
    >>> attention_map(["the", "cat"], weights)
    Attention of 2 tokens in 1 layer of 1 head: the, cat.
    """
    seq = len(tokens)
    if weights.shape[2:] != (seq, seq):
        raise ValueError(f"{seq} tokens look at each other in (layers, heads, {seq}, {seq}), not {weights.shape}")
    if weights.min() < -1e-6 or not np.allclose(weights.sum(-1), 1, atol=1e-3):
        raise ValueError("each query's weights sum to 1 and none is negative: pass what comes after the softmax")
    layers, heads = weights.shape[:2]
    layer, head = start
    if not (1 <= layer <= layers and 1 <= head <= heads):
        raise ValueError(f"start={start} is not a layer of 1 to {layers} and a head of 1 to {heads}")
    percent = np.rint(100 * weights).astype(int).tolist()
    names = [visible(token) for token in tokens]
    caption = f"Layer {layer}, head {head}: what each token (row) looks at, in percent"
    rows = [
        [name, *(cell or "·" for cell in row)] for name, row in zip(names, percent[layer - 1][head - 1], strict=True)
    ]
    return Widget(
        "attention-map",
        {"tokens": names, "weights": percent, "start": [layer, head]},
        table(caption, ["", *names], rows),
        f"Attention of {seq} tokens in {_count(layers, 'layer')} of {_count(heads, 'head')}: {', '.join(names)}.",
    )


def merge_steps(words: str | Sequence[str], merges: Sequence[tuple[bytes, bytes]]) -> Widget:
    """How a trained byte-pair encoding puts each word together, merge by merge.

    Args:
        words: one or several; a space belongs to the word behind it.
        merges: pairs in the order in which they were learned; the first has rank 1.

    Raises:
        ValueError: when a word is empty.

    >>> merge_steps("sea", [(b"s", b"e"), (b"se", b"a")])
    sea: s e a → se a → sea.
    """
    words = [words] if isinstance(words, str) else list(words)
    if not words or not all(words):
        raise ValueError("an empty word has no merges: pass one or more words of at least one letter")
    rank_of = {pair: rank for rank, pair in enumerate(merges, start=1)}
    shown: list[dict[str, Any]] = [{"word": visible(word), "steps": _steps(word, rank_of)} for word in words]
    rows, spoken = [], []
    for each in shown:
        tokens = [" ".join(step["tokens"]) for step in each["steps"]]
        rows += [[each["word"], at, tokens[at], _next(step)] for at, step in enumerate(each["steps"])]
        spoken.append(f"{each['word']}: {' → '.join(tokens)}")
    return Widget(
        "merge-steps",
        {"words": shown},
        table("Each word, merge by merge", ["Word", "Merges", "Tokens", "Next"], rows),
        f"{'; '.join(spoken)}.",
    )


def _steps(word: str, rank_of: Mapping[tuple[bytes, bytes], int]) -> list[dict]:
    """Tokens, and the possible merges from left to right with their ranks, before each merge and at the end."""
    tokens = [bytes([byte]) for byte in word.encode()]
    steps = []
    while True:
        pairs = [(place, pair) for place, pair in enumerate(pairwise(tokens)) if pair in rank_of]
        possible = [[place, visible(left), visible(right), rank_of[left, right]] for place, (left, right) in pairs]
        steps.append({"tokens": [visible(token) for token in tokens], "possible": possible})
        if not pairs:
            return steps
        chosen = min((pair for _, pair in pairs), key=rank_of.__getitem__)
        place = 0
        while place < len(tokens) - 1:
            if (tokens[place], tokens[place + 1]) == chosen:
                tokens[place : place + 2] = [chosen[0] + chosen[1]]
            place += 1


def _next(step: dict) -> str:
    if not step["possible"]:
        return "no pair is in the list"
    _, left, right, rank = min(step["possible"], key=lambda row: row[3])
    return f"{left} + {right} (rank {rank})"


def rank_slider(
    update: Float[np.ndarray, "d_out d_in"],
    ranks: Sequence[int],
    measured: Mapping[str, Sequence[float]] | None = None,
    corner: int = 6,
) -> Widget:
    """What is left of a matrix when it is cut to a rank: share, numbers to store, a corner of it.

    Args:
        update: any matrix; in chapter 7 what tuning added to one.
        ranks: that can be chosen, growing.
        measured: what else is known at each of them, for instance an accuracy, under its name.
        corner: how many rows and columns of the matrix are shown.

    Raises:
        ValueError: when a rank is impossible, ranks do not grow, or a measurement misses some.

    >>> rank_slider(np.diag([3.0, 1.0]), [0, 1, 2], {"right": [0.1, 0.8, 0.9]}, corner=2)
    A 2 × 2 matrix, cut: rank 0 keeps 0 %, right 0.10; rank 1 keeps 90 %, right 0.80; rank 2 keeps 100 %, right 0.90.
    """
    measured = dict(measured or {})
    rows, columns = update.shape
    if not ranks or list(ranks) != sorted(set(ranks)) or not 0 <= ranks[0] <= ranks[-1] <= min(rows, columns):
        raise ValueError(f"ranks grow from 0 to at most {min(rows, columns)}, these are {list(ranks)}")
    for name, values in measured.items():
        if len(values) != len(ranks):
            raise ValueError(f"{name!r} has {len(values)} values for {len(ranks)} ranks: measure at each of them")
    left, sizes, right = np.linalg.svd(np.asarray(update, dtype=np.float64), full_matrices=False)
    if not sizes[0]:
        raise ValueError("the matrix is zero: there is nothing to cut; pass a tuned minus an untuned one")
    shares = [float((sizes[:rank] ** 2).sum() / (sizes**2).sum()) for rank in ranks]
    unit = np.abs(update[:corner, :corner]).max() or 1.0
    corners = [np.rint(100 * (left[:corner, :r] * sizes[:r]) @ right[:r, :corner] / unit) for r in ranks]
    state = {
        "shape": [rows, columns],
        "ranks": list(ranks),
        "shares": [round(100 * share, 1) for share in shares],
        "sizes": [round(100 * float(size / sizes[0]), 1) for size in sizes[:BARS]],
        "measured": {name: [round(float(value), 2) for value in values] for name, values in measured.items()},
        "corners": [each.astype(int).tolist() for each in corners],
        "whole": np.rint(100 * update[:corner, :corner] / unit).astype(int).tolist(),
    }
    lines, spoken = [], []
    for at, (rank, share) in enumerate(zip(ranks, shares, strict=True)):
        kept, found = f"{100 * share:.0f} %", [f"{values[at]:.2f}" for values in measured.values()]
        lines.append([rank, kept, f"{rank * (rows + columns):,}", *found])
        also = [f"{name} {value}" for name, value in zip(measured, found, strict=True)]
        spoken.append(", ".join([f"rank {rank} keeps {kept}", *also]))
    caption = f"A {rows} × {columns} matrix ({rows * columns:,} numbers), cut to a rank"
    return Widget(
        "rank-slider",
        state,
        table(caption, ["Rank", "Kept", "Numbers", *measured], lines),
        f"A {rows} × {columns} matrix, cut: {'; '.join(spoken)}.",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
