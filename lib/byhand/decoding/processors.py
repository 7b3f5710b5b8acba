"""Logits processors: rules about the next token that compose, because all have one tiny form.

A processor is called with the ids so far and the next token's logits and returns new logits of the same shape:
`(ids (batch, seq), logits (batch, vocab)) -> (batch, vocab)`. Any function of that form will do; here are the
usual ones. Leaves out the rules themselves (`byhand.decoding.filters`). Built in chapter 8.

Order matters: rules that shift single logits (repetition, bias, a least length) stand before the temperature,
filters that keep the likeliest after it, top-k before top-p. transformers applies them in that order.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byhand.decoding.filters import ban_repeats, penalize_repeats, require_ids, top_k_filter, top_p_filter

Ids = Int[Tensor, "batch seq"]
Logits = Float[Tensor, "batch vocab"]
Processor = Callable[[Ids, Logits], Logits]


def chain(processors: Sequence[Processor]) -> Processor:
    """One processor that applies several from first to last; of none, the one that changes nothing.

    >>> halve_then_cut = chain([Temperature(2.0), TopK(1)])
    >>> halve_then_cut(torch.tensor([[0]]), torch.tensor([[3.0, 8.0]]))
    tensor([[-inf, 4.]])
    """

    def apply_all(ids: Ids, logits: Logits) -> Logits:
        for processor in processors:
            logits = processor(ids, logits)
        return logits

    return apply_all


@dataclass(frozen=True)
class Temperature:
    """Divide the logits by `temperature`: below 1 sharpens the distribution, above 1 flattens it.

    Raises:
        ValueError: when the temperature is not above 0; for the limit at 0 pick with `greedy`.
    """

    temperature: float

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}; for the limit at 0 pick greedily")

    def __call__(self, ids: Ids, logits: Logits) -> Logits:
        """Divide the logits."""
        return logits / self.temperature


@dataclass(frozen=True)
class TopK:
    """`top_k_filter` as a processor."""

    top_k: int

    def __post_init__(self) -> None:
        top_k_filter(torch.zeros(1), self.top_k)  # a bad value is refused here, not after the first step

    def __call__(self, ids: Ids, logits: Logits) -> Logits:
        """Keep the largest logits."""
        return top_k_filter(logits, self.top_k)


@dataclass(frozen=True)
class TopP:
    """`top_p_filter` as a processor."""

    top_p: float

    def __post_init__(self) -> None:
        top_p_filter(torch.zeros(1), self.top_p)

    def __call__(self, ids: Ids, logits: Logits) -> Logits:
        """Keep the likeliest tokens."""
        return top_p_filter(logits, self.top_p)


@dataclass(frozen=True)
class RepetitionPenalty:
    """`penalize_repeats` as a processor. Padding before a prompt counts as seen, too."""

    penalty: float

    def __post_init__(self) -> None:
        penalize_repeats(torch.zeros(0, dtype=torch.long), torch.zeros(1), self.penalty)

    def __call__(self, ids: Ids, logits: Logits) -> Logits:
        """Penalize the tokens in `ids`."""
        return penalize_repeats(ids, logits, self.penalty)


@dataclass(frozen=True)
class NoRepeatNgram:
    """`ban_repeats` as a processor: no n-gram comes twice."""

    n: int

    def __post_init__(self) -> None:
        ban_repeats(torch.zeros(0, dtype=torch.long), torch.zeros(1), self.n)

    def __call__(self, ids: Ids, logits: Logits) -> Logits:
        """Forbid what would complete an n-gram of `ids`."""
        return ban_repeats(ids, logits, self.n)


@dataclass(frozen=True)
class Bias:
    """Add a number to the logits of chosen tokens; minus infinity forbids a token.

    >>> Bias({1: -math.inf, 2: 0.5})(torch.tensor([[0]]), torch.zeros(1, 3))
    tensor([[0.0000,   -inf, 0.5000]])

    Raises:
        ValueError: when called with logits that have no such token.
    """

    bias: Mapping[int, float]

    def __call__(self, ids: Ids, logits: Logits) -> Logits:
        """Add the bias."""
        tokens = torch.tensor(list(self.bias), dtype=torch.long, device=logits.device)
        require_ids(tokens, logits.shape[-1])
        return logits.index_add(-1, tokens, logits.new_tensor(list(self.bias.values())).expand(len(logits), -1))


@dataclass(frozen=True)
class MinLength:
    """Forbid `eos` until the sequence, its prompt included, holds `length` tokens."""

    length: int
    eos: int

    def __call__(self, ids: Ids, logits: Logits) -> Logits:
        """Forbid `eos` while `ids` is short."""
        return Bias({self.eos: -math.inf})(ids, logits) if ids.shape[-1] < self.length else logits
