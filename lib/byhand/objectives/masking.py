"""Masked language modelling: choose tokens, spoil them, remember what they were.

Holds BERT's choice of single tokens and SpanBERT's of whole spans, both with the 80/10/10 rule. Leaves out
whole-word masking, which needs to know where the tokenizer cut. Built in chapter 5.
"""

from collections.abc import Set

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from byhand.embedding import check_ids
from byhand.objectives.spans import check_rate, span_mask
from byhand.packing import IGNORED

MASKED, KEPT = 0.8, 0.1  # of the chosen; the rest become a random token


def mlm_corrupt(
    input_ids: Int[Tensor, "batch seq"],
    p: float,
    special: Set[int],
    mask_id: int,
    vocab_size: int,
    rng: torch.Generator,
) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"]]:
    """Choose each token with probability `p` and spoil it; returns the spoiled ids and the labels.

    Of the chosen tokens 80 % become `mask_id`, 10 % a random token and 10 % stay: the model cannot tell which
    unmasked tokens it will be asked for, so it has to represent them all. Labels hold the original id where a
    token was chosen, the unchanged ones included, and -100 elsewhere. Devlin et al. 2019, section 3.1 and
    appendix A.1.

    Args:
        input_ids: at least 0 and below `vocab_size`; not changed.
        p: the chance of each token that is not special; 0.15 in BERT.
        special: ids never chosen and never drawn, padding among them; `mask_id` counts as one.
        mask_id: of the [MASK] token.
        vocab_size: random tokens are drawn below it, all equally likely.
        rng: where the randomness comes from.

    Raises:
        ValueError: when `p` is outside [0, 1], an id outside the vocabulary, or every token special.

    >>> ids = torch.tensor([[1, 7, 8, 9, 2, 0]])
    >>> spoiled, labels = mlm_corrupt(ids, 1.0, {0, 1, 2, 3}, mask_id=3, vocab_size=20, rng=torch.Generator())
    >>> labels
    tensor([[-100,    7,    8,    9, -100, -100]])
    >>> spoiled[labels == -100]
    tensor([1, 2, 0])
    """
    check_rate(p)
    ordinary = _ordinary(input_ids, special, mask_id, vocab_size)
    chosen = (_uniform(input_ids, rng) < p) & ordinary[input_ids.long()]
    return _spoil(input_ids, chosen, _uniform(input_ids, rng), ordinary, mask_id, rng)


def mlm_corrupt_spans(
    input_ids: Int[Tensor, "batch seq"],
    p: float,
    mean_len: float,
    special: Set[int],
    mask_id: int,
    vocab_size: int,
    rng: torch.Generator,
) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"]]:
    """Like `mlm_corrupt`, but whole spans are chosen, and a span is masked, replaced or kept as one.

    Spans are those of `span_mask` over the tokens that are not special, row by row. Joshi et al. 2020 (SpanBERT),
    section 3.1, with `p` 0.15 and `mean_len` 3.8.

    Raises:
        ValueError: as `mlm_corrupt` and `span_mask` do.

    >>> ids = torch.arange(10, 20).view(1, -1)
    >>> spoiled, labels = mlm_corrupt_spans(ids, 0.3, 3, {0}, mask_id=1, vocab_size=30, rng=torch.Generator())
    >>> int((labels != -100).sum())
    3
    """
    check_rate(p)
    ordinary = _ordinary(input_ids, special, mask_id, vocab_size)
    candidates = ordinary[input_ids.long()]
    chosen = torch.zeros_like(candidates)
    fate = _uniform(input_ids, rng)
    for row, places in enumerate(candidates):
        mask = span_mask(int(places.sum()), p, mean_len, rng).to(chosen.device)
        starts = mask.clone()
        starts[1:] &= ~mask[:-1]
        span = (starts.cumsum(0) - 1).clamp(min=0)  # the same number all along a span
        chosen[row, places] = mask
        fate[row, places] = fate[row][places][span]
    return _spoil(input_ids, chosen, fate, ordinary, mask_id, rng)


def _uniform(like: Tensor, rng: torch.Generator) -> Float[Tensor, "batch seq"]:
    return torch.rand(like.shape, generator=rng, device=rng.device).to(like.device)


def _ordinary(input_ids: Tensor, special: Set[int], mask_id: int, vocab_size: int) -> Bool[Tensor, " vocab"]:
    """Which ids may be chosen and drawn."""
    check_ids(input_ids, vocab_size)
    unknown = sorted(i for i in {*special, mask_id} if not 0 <= i < vocab_size)
    if unknown:
        raise ValueError(f"special ids {unknown} are outside the vocabulary of {vocab_size}; give ids below it")
    ordinary = torch.ones(vocab_size, dtype=torch.bool)
    ordinary[sorted({*special, mask_id})] = False
    if not ordinary.any():
        raise ValueError(f"all {vocab_size} ids are special: nothing is left to choose or draw; name fewer")
    return ordinary.to(input_ids.device)


def _spoil(
    input_ids: Tensor, chosen: Tensor, fate: Tensor, ordinary: Tensor, mask_id: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """80/10/10 by `fate`, uniform in [0, 1): where it is high the token becomes a random one."""
    candidates = ordinary.nonzero().flatten().to(input_ids.dtype)
    drawn = torch.randint(len(candidates), input_ids.shape, generator=rng, device=rng.device).to(input_ids.device)
    spoiled = torch.where(chosen & (fate < MASKED), mask_id, input_ids)
    spoiled = torch.where(chosen & (fate >= MASKED + KEPT), candidates[drawn], spoiled)
    return spoiled, torch.where(chosen, input_ids, IGNORED)
