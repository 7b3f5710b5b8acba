"""Labels of words brought to the tokenizer's pieces, and the answer read off two rows of logits. Built in chapter 6."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from byhand.packing import IGNORED


def align_labels(word_ids: Sequence[int | None], labels: Sequence[int], all_subwords: bool = False) -> list[int]:
    """The label of each piece: its word's at the word's first piece, -100, which no loss counts, elsewhere.

    Otherwise a word of five pieces would weigh five times. Devlin et al. 2019, section 5.3.

    Args:
        word_ids: the number of the word that each piece belongs to; None for special tokens.
        labels: of the words.
        all_subwords: give every piece its word's label instead.

    Raises:
        ValueError: when a piece belongs to a word without a label.

    >>> align_labels([None, 0, 1, 1, None], [4, 7])
    [-100, 4, 7, -100, -100]
    """
    aligned = []
    before: int | None = None
    for place, word in enumerate(word_ids):
        if word is not None and not 0 <= word < len(labels):
            raise ValueError(f"piece {place} belongs to word {word}, but there are labels for {len(labels)} words")
        begins = word != before
        aligned.append(labels[word] if word is not None and (begins or all_subwords) else IGNORED)
        before = word
    return aligned


def best_span(
    start: Float[Tensor, " seq"], end: Float[Tensor, " seq"], max_len: int, allowed: Bool[Tensor, " seq"]
) -> tuple[int, int]:
    """First and last place of the likeliest answer: the pair with the largest sum of logits that is a span.

    A span lies within the allowed places (all of it: the question or padding may not be inside), does not end before
    it starts, and has at most `max_len` tokens. Of equal spans the first, then the shortest. Devlin et al. 2019,
    section 4.2.

    Raises:
        ValueError: when nothing is allowed, or max_len is below 1.

    >>> logits = torch.tensor([0.0, 5.0, 1.0, 4.0])
    >>> best_span(logits, logits.flip(0), max_len=2, allowed=torch.tensor([True, True, True, True]))
    (1, 2)
    """
    if max_len < 1:
        raise ValueError(f"max_len must be at least 1, got {max_len}")
    if not bool(allowed.any()):
        raise ValueError("no place is allowed: the passage is not in this part of the text")
    seq = len(start)
    places = torch.arange(seq, device=start.device)
    length = places - places.unsqueeze(1) + 1  # (first, last)
    gaps = (~allowed).long().cumsum(0)
    whole = (gaps - gaps.unsqueeze(1) == 0) & allowed.unsqueeze(1)  # no gap from the first place to the last
    sums = (start.unsqueeze(1) + end).masked_fill(~(whole & (length >= 1) & (length <= max_len)), -torch.inf)
    if not bool(sums.isfinite().any()):
        raise ValueError("no allowed span has a finite score: all logits there are -inf or NaN")
    first, last = divmod(int(sums.nan_to_num(nan=-torch.inf).argmax()), seq)
    return first, last
