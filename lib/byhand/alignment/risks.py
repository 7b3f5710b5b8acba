"""What a model learned that nobody asked for: associations, and the texts themselves.

Holds the association test of embeddings, the attack that asks whether a text was trained on, and the share of texts
that a model repeats. Exposure of a planted secret is `byhand.memorisation` (chapter 4). Leaves out defences. Built in
chapter 11.
"""

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

EXACT = 20_000
"""Up to so many partitions are all looked at; of more, so many are drawn."""


def weat(
    X: Float[Tensor, "targets d_model"],
    Y: Float[Tensor, "others d_model"],
    A: Float[Tensor, "attributes d_model"],
    B: Float[Tensor, "opposites d_model"],
    rng: torch.Generator | None = None,
) -> tuple[float, float]:
    """The word-embedding association test: effect size d and one-sided p. Caliskan et al. 2017, supplement.

    A word's association is its mean cosine with A minus that with B. d is the difference of the mean associations
    of X and Y over the standard deviation (n - 1) of all of them: within -2 and 2, positive when X leans to A. p is
    the share of the ways to cut X and Y's words into parts of these sizes whose difference is at least as large: all
    ways when they are at most 20,000, else as many drawn by `rng`.

    Raises:
        ValueError: when X or Y has fewer than two words, A or B none, or a vector is zero.

    >>> toward, away = torch.tensor([[1.0, 0.1], [1.0, 0.2]]), torch.tensor([[0.1, 1.0], [0.2, 1.0]])
    >>> d, p = weat(toward, away, toward[:1], away[:1])
    >>> d > 1.5, round(p, 3)
    (True, 0.167)
    """
    if min(len(X), len(Y)) < 2 or min(len(A), len(B)) < 1:
        raise ValueError(
            f"X and Y need two words each, A and B one; got {len(X)}, {len(Y)}, {len(A)} and {len(B)} vectors"
        )
    normed = []
    for group in (X, Y, A, B):
        lengths = group.double().norm(dim=-1, keepdim=True)
        if not bool((lengths > 0).all()):
            raise ValueError("a vector is zero: is the word in the vocabulary?")
        normed.append(group.double() / lengths)
    x, y, a, b = normed
    words = torch.cat([x, y])
    leaning = (words @ a.T).mean(dim=-1) - (words @ b.T).mean(dim=-1)  # (targets + others)
    gap = leaning[: len(x)].mean() - leaning[len(x) :].mean()
    spread = leaning.std()
    effect = float(gap / spread) if spread > 0 else 0.0
    return effect, _share_as_far(leaning.numpy(), len(x), rng)


def _share_as_far(leaning: np.ndarray, n: int, rng: torch.Generator | None) -> float:
    """The share of choices of `n` words whose mean lies as far above the rest's as that of the first `n`.

    With the sum of all fixed, the difference of the means grows with the sum of the chosen.
    """
    if math.comb(len(leaning), n) <= EXACT:
        chosen = np.array(list(combinations(range(len(leaning)), n)))
    else:
        rng = torch.Generator().manual_seed(0) if rng is None else rng
        shuffled = torch.rand(EXACT, len(leaning), generator=rng).argsort(dim=-1).numpy()
        chosen = np.concatenate([shuffled[:, :n], [np.arange(n)]])  # the cut itself is one of them: p is never 0
    sums = leaning[chosen].sum(axis=-1)
    return float((sums >= leaning[:n].sum() - 1e-12).mean())


def membership_auc(
    nll_in: Float[Tensor, " members"] | Sequence[float], nll_out: Float[Tensor, " others"] | Sequence[float]
) -> float:
    """How well a low loss tells texts that were trained on from others: the area under the ROC curve.

    The probability that a member's loss is below another text's, ties counted half: Mann and Whitney's U over the
    number of pairs. 0.5 is guessing, 1 is certainty. Yeom et al. 2018, section 3.

    Raises:
        ValueError: when a side is empty or holds NaN.

    >>> membership_auc([1.0, 2.0], [2.0, 3.0])
    0.875
    """
    members, others = (torch.as_tensor(side, dtype=torch.float64).flatten() for side in (nll_in, nll_out))
    if not len(members) or not len(others):
        raise ValueError(f"both sides need losses, got {len(members)} of members and {len(others)} of others")
    if bool(members.isnan().any() or others.isnan().any()):
        raise ValueError("a loss is NaN: it belongs on neither side")
    ordered = others.sort().values
    below = torch.searchsorted(ordered, members, right=False)
    upto = torch.searchsorted(ordered, members, right=True)
    won = (len(others) - upto).double() + (upto - below).double() / 2
    return float(won.mean() / len(others))


def verbatim_rate(
    continue_with: Callable[[list[int], int], Sequence[int]], texts: Sequence[Sequence[int]], prefix: int
) -> float:
    """The share of texts that a model finishes word for word when it is given their beginning.

    Carlini et al. 2023, definition 3.1: a text counts when greedy decoding from its first `prefix` tokens gives all
    the rest.

    Args:
        continue_with: from a beginning and a number of tokens to the tokens that the model writes.
        texts: token ids of texts that were trained on.
        prefix: how many tokens are given; longer ones make a model remember more.

    Raises:
        ValueError: when there is no text, or one is not longer than the prefix.

    >>> verbatim_rate(lambda given, count: [given[-1] + 1] * count, [[1, 2], [3, 4, 5]], prefix=1)
    0.5
    """
    if not texts:
        raise ValueError("there is no text to try")
    shortest = min(map(len, texts))
    if prefix < 1 or shortest <= prefix:
        raise ValueError(f"prefix must be at least 1 and below the shortest text's {shortest} tokens, got {prefix}")
    hits = [list(continue_with(list(text[:prefix]), len(text) - prefix)) == list(text[prefix:]) for text in texts]
    return sum(hits) / len(hits)
