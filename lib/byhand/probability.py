"""From scores to probabilities: softmax with a temperature, cross-entropy, and the chain rule.

Holds the three functions every language model ends with, and the count of what a table of probabilities would
need instead. Leaves out sampling from them (chapter 8) and cross-entropy in pieces for large vocabularies
(chapter 4). Built in chapter 1.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


def sequence_logprob(
    cond: Callable[[tuple[int, ...]], Float[np.ndarray, " vocab"]], ids: Sequence[int], bos: int
) -> float:
    """The log-probability of a sequence by the chain rule, in nats.

    The sum over t of log P(x_t | bos, x_1 ... x_{t-1}): each token given those *before* it. Logarithms are
    added, because a product of a few hundred probabilities is zero in floating point. A token of probability
    zero makes it minus infinity.

    Args:
        cond: from the context so far, a tuple that starts with `bos`, to the distribution of the next token.
        ids: the tokens; empty has log-probability 0.
        bos: the id that stands before the first token and is not scored itself.

    >>> fair = lambda context: np.array([0.5, 0.5])
    >>> sequence_logprob(fair, [0, 1, 1], bos=2) == 3 * math.log(0.5)
    True
    """
    total = 0.0
    for place, token in enumerate(ids):
        p = float(cond((bos, *ids[:place]))[token])
        total += math.log(p) if p > 0 else -math.inf
    return total


def table_parameters(vocab_size: int, seq: int, n: int) -> dict[str, int]:
    """How many free numbers a table of probabilities over sequences of `seq` tokens needs, exactly.

    `joint`, one entry per sequence, and `chain`, one distribution per context of every length, need the same:
    the chain rule rewrites, it does not save. `ngram`, one distribution per context of n - 1 tokens shared by
    all places, does. A distribution over V outcomes has V - 1 free numbers, since it sums to 1.

    Raises:
        ValueError: when an argument is below 1.

    >>> table_parameters(vocab_size=10, seq=3, n=2)
    {'joint': 999, 'chain': 999, 'ngram': 90}
    """
    for name, value in (("vocab_size", vocab_size), ("seq", seq), ("n", n)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    return {
        "joint": vocab_size**seq - 1,
        "chain": sum(vocab_size**length * (vocab_size - 1) for length in range(seq)),
        "ngram": vocab_size ** (n - 1) * (vocab_size - 1),
    }


def softmax(logits: Float[Tensor, "*batch vocab"], temperature: float = 1.0) -> Float[Tensor, "*batch vocab"]:
    """Probabilities proportional to exp(logits / temperature), along the last axis.

    The largest logit is subtracted first, which changes nothing but keeps exp from overflowing. Temperature 0
    means the limit: all probability on the largest logit, shared equally where several tie; its gradient is
    zero. Dtype and device are kept. Goodfellow et al. 2016, section 4.1.

    Raises:
        ValueError: when the temperature is negative or not a number.

    >>> softmax(torch.tensor([[0.0, math.log(3.0)]]))
    tensor([[0.2500, 0.7500]])
    >>> softmax(torch.tensor([1.0, 2.0, 2.0]), temperature=0.0)
    tensor([0.0000, 0.5000, 0.5000])
    """
    if not temperature >= 0:
        raise ValueError(f"temperature must be 0 or more, got {temperature}; 0 picks the largest logit")
    top = logits.amax(dim=-1, keepdim=True)
    if temperature < torch.finfo(logits.dtype).tiny:
        # Below this the division overflows; written as a product so that autograd sees a zero gradient.
        peaks = (logits == top).to(logits.dtype) + 0 * (logits - top).nan_to_num(neginf=0.0)
        return peaks / peaks.sum(dim=-1, keepdim=True)
    weights = ((logits - top) / temperature).exp()
    return weights / weights.sum(dim=-1, keepdim=True)


def log_softmax(logits: Float[Tensor, "*batch vocab"]) -> Float[Tensor, "*batch vocab"]:
    """The logarithm of `softmax(logits)`, in nats, finite where the probability itself would round to zero.

    >>> log_softmax(torch.tensor([0.0, -1000.0]))
    tensor([    0., -1000.])
    """
    shifted = logits - logits.amax(dim=-1, keepdim=True)
    return shifted - shifted.exp().sum(dim=-1, keepdim=True).log()


def cross_entropy(
    logits: Float[Tensor, "*batch vocab"], targets: Int[Tensor, "*batch"], ignore_index: int = -100
) -> Float[Tensor, ""]:
    """The mean of -log P(target) over the targets that count, in nats.

    Places whose target is `ignore_index` are left out of the sum *and* of the count, and their logits get a
    gradient of exactly zero. With nothing to count the mean is NaN, as in torch.

    >>> logits = torch.zeros(1, 3, 4)
    >>> loss = cross_entropy(logits, torch.tensor([[0, 3, -100]]))
    >>> math.isclose(loss.item(), math.log(4), rel_tol=1e-6)
    True
    """
    counted = targets != ignore_index
    log_probs = log_softmax(logits[counted])  # (counted, vocab)
    return -log_probs.gather(-1, targets[counted].long().unsqueeze(-1)).mean()
