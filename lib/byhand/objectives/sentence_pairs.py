"""Next-sentence prediction: does the second sentence follow the first, or is it from another document?

Holds the drawing of pairs and their layout. Leaves out packing several sentences into one segment, as BERT's own
data pipeline does. Built in chapter 5.
"""

import random
from collections.abc import Sequence
from itertools import pairwise


def nsp_pairs(
    docs: Sequence[Sequence[Sequence[int]]],
    max_len: int,
    rng: random.Random,
    *,
    cls_id: int = 101,
    sep_id: int = 102,
) -> list[tuple[list[int], list[int], bool]]:
    """For every sentence but a document's last, a pair with its successor or, half the time, with a stranger.

    A stranger is a random sentence of a random *other* document, so it can never be the true successor. The pair is
    laid out as [CLS] A [SEP] B [SEP], segment 0 up to and with the first [SEP], then segment 1. Where it is too
    long, tokens are taken from the end of the longer sentence (of B when both are equally long), never a [SEP].
    Devlin et al. 2019, section 3.1 and appendix A.2.

    Args:
        docs: documents, each its sentences in order, each a list of ids. Not changed.
        max_len: of the pair with its three special tokens; at least 5, so that both sentences keep a token.
        rng: where the randomness comes from.
        cls_id: of [CLS]; the default is BERT's.
        sep_id: of [SEP]; the default is BERT's.

    Returns:
        (ids, segments, is_next) for each pair, in the order of the text.

    Raises:
        ValueError: when fewer than two documents hold a sentence, a sentence is empty or `max_len` is below 5.

    >>> docs = [[[11], [12], [13, 14, 15]], [[21, 22]]]
    >>> for pair in nsp_pairs(docs, 8, random.Random(4), cls_id=1, sep_id=2):
    ...     print(pair)
    ([1, 11, 2, 12, 2], [0, 0, 0, 1, 1], True)
    ([1, 12, 2, 21, 22, 2], [0, 0, 0, 1, 1, 1], False)
    """
    if max_len < 5:
        raise ValueError(f"max_len must be at least 5, room for [CLS] a [SEP] b [SEP], got {max_len}")
    for number, doc in enumerate(docs):
        if not all(doc):
            place = next(place for place, sentence in enumerate(doc) if not sentence)
            raise ValueError(f"sentence {place} of document {number} is empty; leave it out")
    filled = [doc for doc in docs if doc]
    if len(filled) < 2:
        raise ValueError(
            f"strangers come from another document, but {len(filled)} of {len(docs)} hold a sentence; give at least two"
        )
    pairs = []
    for own, doc in enumerate(filled):
        for first, successor in pairwise(doc):
            is_next = rng.random() < 0.5
            other = rng.randrange(len(filled) - 1)
            second = successor if is_next else rng.choice(filled[other + (other >= own)])
            pairs.append((*_lay_out(first, second, max_len, cls_id, sep_id), is_next))
    return pairs


def _lay_out(
    first: Sequence[int], second: Sequence[int], max_len: int, cls_id: int, sep_id: int
) -> tuple[list[int], list[int]]:
    keep_first, keep_second = len(first), len(second)
    while keep_first + keep_second > max_len - 3:
        if keep_first > keep_second:
            keep_first -= 1
        else:
            keep_second -= 1
    ids = [cls_id, *first[:keep_first], sep_id, *second[:keep_second], sep_id]
    return ids, [0] * (keep_first + 2) + [1] * (keep_second + 1)
