"""BART's noise: five ways to spoil a document that the model then has to write out whole.

Holds text infilling, token masking, token deletion, sentence permutation and document rotation, on lists of ids.
They compose: each takes and returns a list. Built in chapter 5.
"""

import math
import random
from collections.abc import Sequence, Set
from itertools import accumulate

from byhand.objectives.spans import check_rate


def text_infill(ids: Sequence[int], spans: Sequence[tuple[int, int]], mask_id: int) -> list[int]:
    """Put one mask in the place of each span, whatever its length; a span of length 0 inserts a mask.

    The model has to find out how many tokens a mask stands for, none included. Lewis et al. 2020, section 2.2.

    Args:
        ids: the text; not changed.
        spans: (start, length) in any order; they may touch but not overlap.
        mask_id: of the mask.

    Raises:
        ValueError: when a span leaves the text, has a negative length, or overlaps another.

    >>> text_infill([10, 11, 12, 13, 14], [(4, 0), (1, 2)], mask_id=9)
    [10, 9, 13, 9, 14]
    """
    noised: list[int] = []
    done = 0
    for start, length in sorted(spans):
        if length < 0 or start < 0 or start + length > len(ids):
            raise ValueError(f"span ({start}, {length}) leaves a text of {len(ids)} tokens")
        if start < done:
            raise ValueError(f"span ({start}, {length}) overlaps one that ends at {done}; spans may touch only")
        noised += [*ids[done:start], mask_id]
        done = start + length
    return [*noised, *ids[done:]]


def infill_spans(seq: int, p: float, mean_len: float, rng: random.Random) -> list[tuple[int, int]]:
    """Spans for `text_infill`: Poisson lengths with mean `mean_len` until `p` of the tokens are in one.

    The last is cut to fit. Where they start is random, in order and without overlap. BART has `p` 0.3 and
    `mean_len` 3. Lewis et al. 2020, section 2.2.

    Raises:
        ValueError: when `seq` is negative, `p` outside [0, 1] or `mean_len` not above 0.

    >>> infill_spans(20, 0.3, 3, random.Random(5))
    [(7, 5), (18, 1)]
    """
    check_rate(p)
    if seq < 0:
        raise ValueError(f"seq must be 0 or more, got {seq}")
    if not mean_len > 0:
        raise ValueError(f"mean_len must be above 0, got {mean_len}")
    left = int(p * seq + rng.random())  # rounded at random, so that the mean is exact
    free = seq - left
    lengths = []
    while left:
        lengths.append(min(_poisson(mean_len, rng), left))
        left -= lengths[-1]
    starts = sorted(rng.randint(0, free) for _ in lengths)
    before = accumulate(lengths, initial=0)
    return [(start + shift, length) for start, shift, length in zip(starts, before, lengths, strict=False)]


def mask_tokens(ids: Sequence[int], p: float, mask_id: int, rng: random.Random) -> list[int]:
    """Replace each token by the mask with probability `p`.

    Raises:
        ValueError: when `p` is outside [0, 1].

    >>> mask_tokens([4, 5, 6], 1.0, 9, random.Random(0))
    [9, 9, 9]
    """
    check_rate(p)
    return [mask_id if rng.random() < p else token for token in ids]


def delete_tokens(ids: Sequence[int], p: float, rng: random.Random) -> list[int]:
    """Drop each token with probability `p`; the model has to find out where.

    Raises:
        ValueError: when `p` is outside [0, 1].

    >>> delete_tokens([4, 5, 6], 1.0, random.Random(0))
    []
    """
    check_rate(p)
    return [token for token in ids if rng.random() >= p]


def permute_sentences(ids: Sequence[int], end_ids: Set[int], rng: random.Random) -> list[int]:
    """Shuffle the sentences, each of which ends with one of `end_ids`; the rest after the last is one too.

    >>> permute_sentences([4, 5, 0, 6, 0, 7], {0}, random.Random(1))
    [6, 0, 7, 4, 5, 0]
    """
    sentences: list[list[int]] = [[]]
    for token in ids:
        sentences[-1].append(token)
        if token in end_ids:
            sentences.append([])
    rng.shuffle(sentences)
    return [token for sentence in sentences for token in sentence]


def rotate_document(ids: Sequence[int], rng: random.Random) -> list[int]:
    """Turn the document so that it begins with a token chosen at random; the model has to find the start.

    >>> rotate_document([4, 5, 6, 7], random.Random(1))
    [5, 6, 7, 4]
    """
    start = rng.randrange(len(ids)) if ids else 0
    return [*ids[start:], *ids[:start]]


def _poisson(mean: float, rng: random.Random) -> int:
    """Knuth's way: how many uniform numbers, multiplied, stay above exp(-mean)."""
    count, product = 0, rng.random()
    while product > math.exp(-mean):
        count += 1
        product *= rng.random()
    return count
