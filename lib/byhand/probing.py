"""Probing: which continuation a language model holds for the likeliest, given the text on both sides of a gap.

Holds the ranking of candidates for a gap by the probability of the whole text. Leaves out the gap sentences
themselves (chapter 4 has them) and ranking by a classifier on hidden states. Built in chapter 4.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor, nn

from byhand.training.evaluation import evaluating


def cloze_rank(
    model: nn.Module, left: Sequence[int], candidates: Sequence[Sequence[int]], right: Sequence[int]
) -> list[int]:
    """The numbers of the candidates, the likeliest filling of the gap first; equals keep their order.

    A candidate scores the log-probability of its own tokens and of all tokens of `right`, given what stands before
    each: a filling is good when the text goes on well after it. `left` is the same for all and is not counted. The
    sums are compared as they are, not per token: they are the probabilities of whole texts, and those of longer
    candidates are truly lower. (Dividing by the length would favour long names whose last pieces are certain.)

    Args:
        model: from (batch, seq) ids to (batch, seq, vocab) logits.
        left: the tokens before the gap, at least one: put the token for the beginning where there is none.
        candidates: the tokens of each filling; they may differ in number.
        right: the tokens after the gap; may be empty.

    Raises:
        ValueError: when `left` is empty, there is no candidate, or one is empty.
    """
    scores = cloze_scores(model, left, candidates, right)
    return sorted(range(len(candidates)), key=lambda number: -scores[number].item())


def cloze_scores(
    model: nn.Module, left: Sequence[int], candidates: Sequence[Sequence[int]], right: Sequence[int]
) -> Float[Tensor, " candidates"]:
    """For each candidate, the log-probability of it and of `right` after `left`, in nats, as in `cloze_rank`.

    The texts are padded on the right, where a causal model cannot see it from inside the text.

    Raises:
        ValueError: as `cloze_rank`.
    """
    if not left:
        raise ValueError("the text before the gap is empty: start it with the token for the beginning")
    if not candidates or not all(candidates):
        raise ValueError(f"need candidates of at least one token each, got {[list(each) for each in candidates]}")
    texts = [[*left, *candidate, *right] for candidate in candidates]
    longest = max(map(len, texts))
    device = next(model.parameters()).device
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts], device=device)
    places = torch.arange(1, longest, device=device)
    lengths = torch.tensor([len(text) for text in texts], device=device)
    counted = (places >= len(left)) & (places < lengths[:, None])  # (candidates, longest - 1)
    with evaluating(model):
        logits = model(ids[:, :-1]).float()
    losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view_as(counted)
    # Selected, not multiplied: the loss at a padded place may be infinite.
    return -losses.masked_fill(~counted, 0.0).sum(-1)
