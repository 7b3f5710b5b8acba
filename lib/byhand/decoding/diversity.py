"""How varied a text is: distinct n-grams, repetition within a window, the entropy of n-grams.

Holds measures over samples of token ids, each a sequence of its own: no n-gram and no window reaches from one
sample into the next. Leaves out measures that need a reference text or a model (`byhand.metrics`). Built in
chapter 8.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from jaxtyping import Int
from torch import Tensor

Samples = Sequence[int] | Sequence[Sequence[int]] | Int[Tensor, " seq"] | Int[Tensor, "samples seq"]
"""One sample, or several of any lengths."""


def distinct_n(ids: Samples, n: int) -> float:
    """Different n-grams divided by all n-grams: 1 when none comes twice, 0 when no sample holds n tokens.

    Longer texts repeat more, so compare samples of the same length. After Li et al. 2016, section 4.3, who
    divide by the number of tokens.

    Raises:
        ValueError: when `n` is below 1.

    >>> distinct_n([[1, 2, 1, 2], [1, 2]], n=2)
    0.5
    """
    counts = _count_ngrams(ids, n)
    return len(counts) / counts.total() if counts else 0.0


def ngram_entropy(ids: Samples, n: int) -> float:
    """The entropy of the distribution of n-grams, in nats: 0 when all are the same, or there are none.

    Unlike `distinct_n` it sees how evenly the n-grams are used. Zhang et al. 2018, section 4 (Ent-n).

    Raises:
        ValueError: when `n` is below 1.

    >>> ngram_entropy([0, 1, 0, 1], n=1) == math.log(2)
    True
    """
    counts = _count_ngrams(ids, n)
    total = counts.total()
    return sum(count / total * math.log(total / count) for count in counts.values())


def repetition_rate(ids: Samples, window: int) -> float:
    """The share of tokens that already stand among the `window` tokens before them, from 0 to 1.

    Of those tokens that have one before them in their sample; 0 when none has. After Welleck et al. 2020,
    section 6 (rep/l), whose shares are of all tokens.

    Raises:
        ValueError: when `window` is below 1.

    >>> repetition_rate([7, 8, 7, 9, 7], window=2)
    0.5
    """
    if window < 1:
        raise ValueError(f"window must be at least 1 token, got {window}")
    repeated = [
        token in sample[max(0, place - window) : place]
        for sample in _as_samples(ids)
        for place, token in enumerate(sample)
        if place > 0
    ]
    return sum(repeated) / len(repeated) if repeated else 0.0


def _count_ngrams(ids: Samples, n: int) -> Counter[tuple[int, ...]]:
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}: an n-gram holds n tokens")
    return Counter(
        tuple(sample[place : place + n]) for sample in _as_samples(ids) for place in range(len(sample) - n + 1)
    )


def _as_samples(ids: Samples) -> list[list[int]]:
    samples: list[Any] = ids.tolist() if isinstance(ids, Tensor) else list(ids)
    if samples and isinstance(samples[0], int):
        return [samples]
    return [list(map(int, sample)) for sample in samples]
