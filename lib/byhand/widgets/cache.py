"""A figure of the cache of keys and values, call by call: what is computed, what is read, what is held.

The page hands over the calls that it made and the sizes of its model's cache; this module counts. Belongs to no
chapter.
"""

from collections.abc import Sequence
from typing import Any

from byhand.widgets.widget import Widget, table, visible


def cache_steps(
    calls: Sequence[tuple[str, Sequence[str] | int]],
    n_layers: int,
    n_heads: int,
    head_dim: int,
    bytes_per_number: int = 4,
) -> Widget:
    """One row's cache as it fills: prefill, decoding, guesses and what is cut off when one is rejected.

    Args:
        calls: of the model, in order: what was done, and the tokens that were fed, by name; or, for a cut, how many
            tokens the cache kept.
        n_layers: with a cache of their own.
        n_heads: of a layer that have keys and values of their own.
        head_dim: width of a head.
        bytes_per_number: 4 for float32, 2 for float16.

    Raises:
        ValueError: when there is no call, one feeds nothing, a cut keeps more than there is, or a size is below 1.

    >>> cache_steps([("prefill", ["a", "b"]), ("decode", ["c"]), ("cut", 2)], 1, 2, 4)
    Cache of 64 bytes a token. prefill: 2 computed, 0 read, 2 held; decode: 1 computed, 2 read, 3 held; cut: 2 held.
    """
    sizes = {"n_layers": n_layers, "n_heads": n_heads, "head_dim": head_dim, "bytes_per_number": bytes_per_number}
    if min(sizes.values()) < 1:
        raise ValueError(f"sizes must be at least 1, got {sizes}")
    if not calls:
        raise ValueError("there is no call to show: note each call of the model with the tokens that it was fed")
    token = 2 * n_layers * n_heads * head_dim * bytes_per_number
    held: list[str] = []
    steps: list[dict[str, Any]] = []
    rows: list[list[object]] = []
    spoken, computed, uncached = [], 0, 0
    for name, fed in calls:
        if isinstance(fed, int):
            if not 0 <= fed <= len(held):
                raise ValueError(f"{name!r} keeps {fed} tokens, but the cache holds {len(held)}: give 0 to {len(held)}")
            steps.append({"name": name, "past": fed, "new": [], "lost": held[fed:]})
            held = held[:fed]
            work = ["", ""]
            spoken.append(f"{name}: {len(held)} held")
        else:
            if not fed:
                raise ValueError(f"{name!r} feeds no token: leave the call out, or give a number for a cut")
            steps.append({"name": name, "past": len(held), "new": [visible(each) for each in fed], "lost": []})
            computed, uncached = computed + len(fed), uncached + len(held) + len(fed)
            work = [str(len(fed)), str(len(held))]
            held = [*held, *steps[-1]["new"]]
            spoken.append(f"{name}: {work[0]} computed, {work[1]} read, {len(held)} held")
        rows.append([len(rows) + 1, name, *work, len(held), f"{token * len(held):,}"])
        steps[-1] |= {"computed": computed, "uncached": uncached}
    parts = f"2 × {n_layers} layers × {n_heads} heads × {head_dim} numbers × {bytes_per_number} bytes"
    return Widget(
        "cache-steps",
        {"steps": steps, "token": token, "parts": parts},
        table(
            f"What each call computes and reads. A token takes {parts} = {token:,} bytes",
            ["Call", "What", "Computed", "Read", "Held", "Bytes"],
            rows,
        ),
        f"Cache of {token:,} bytes a token. {'; '.join(spoken)}.",
    )
