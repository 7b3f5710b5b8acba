"""From a row of logits to one token: the likeliest, or one drawn at random.

Holds drawing with temperature, top-k and top-p in the order that makes sense, and the two ways of picking that
`generate` takes. Leaves out what looks at the tokens so far (`byhand.decoding.processors`). Built in chapter 8.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byhand.decoding.filters import top_k_filter, top_p_filter


def greedy(logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
    """The likeliest token of each row; of tied ones, the one with the lowest id.

    >>> greedy(torch.tensor([[0.0, 2.0, 2.0]]))
    tensor([1])
    """
    return logits.argmax(dim=-1)


def sample(
    logits: Float[Tensor, "batch vocab"],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    rng: torch.Generator,
) -> Int[Tensor, " batch"]:
    """Draw a token for each row: temperature first, then top-k, then top-p on what top-k left, renormalised.

    Args:
        temperature: 0 picks greedily and draws nothing.
        top_k: None keeps every token.
        top_p: None keeps every token; a probability between 0 and 1.
        rng: on the device of the logits; nothing else is drawn from.

    Raises:
        ValueError: when the temperature is negative, `top_k` below 1, `top_p` outside [0, 1], or a row has
            nothing that could be drawn.

    >>> rng = torch.Generator().manual_seed(0)
    >>> sample(torch.tensor([[0.0, 9.0, 8.0]]), temperature=0.7, top_k=1, top_p=None, rng=rng)
    tensor([1])
    """
    probs = distribution(logits, temperature, top_k, top_p)
    return greedy(_require_drawable(probs)) if temperature == 0 else draw(probs, rng)


def distribution(
    logits: Float[Tensor, "*batch vocab"],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "*batch vocab"]:
    """The probabilities that `sample` draws from, in single precision at least.

    At temperature 0 all is on the token that `greedy` picks.

    Raises:
        ValueError: as `sample`.

    >>> distribution(torch.tensor([0.5, 0.3, 0.2]).log(), top_k=2)
    tensor([0.6250, 0.3750, 0.0000])
    """
    if not temperature >= 0:
        raise ValueError(f"temperature must be 0 or more, got {temperature}; 0 picks the largest logit")
    kept = logits.to(torch.promote_types(logits.dtype, torch.float32))
    # The largest logit becomes 0, and the temperature no denormal, so that the division cannot give a NaN.
    kept = kept - kept.amax(dim=-1, keepdim=True)
    kept = top_k_filter(kept, 1) if temperature == 0 else kept / max(temperature, torch.finfo(kept.dtype).tiny)
    if top_k is not None:
        kept = top_k_filter(kept, top_k)
    if top_p is not None:
        kept = top_p_filter(kept, top_p)
    return kept.softmax(dim=-1)


def draw(probs: Float[Tensor, "batch vocab"], rng: torch.Generator) -> Int[Tensor, " batch"]:
    """Draw one token from each row of probabilities.

    Raises:
        ValueError: when a row is not a distribution: a NaN, as where every logit was minus infinity, or nothing
            above zero.
    """
    return torch.multinomial(_require_drawable(probs), 1, generator=rng).squeeze(-1)


@dataclass(frozen=True)
class Sampler:
    """`sample` with its settings, as a way of picking for `generate`.

    Attributes:
        rng: where the random numbers come from; it moves on with every token.
        temperature: 1 leaves the model's distribution, 0 picks greedily.
        top_k: how many tokens may be drawn; None for all.
        top_p: the probability that the tokens which may be drawn must reach; None for all.
    """

    rng: torch.Generator
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        sample(torch.zeros(0, 1, device=self.rng.device), self.temperature, self.top_k, self.top_p, self.rng)

    def __call__(self, logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
        """Draw a token for each row."""
        return sample(logits, self.temperature, self.top_k, self.top_p, self.rng)


def _require_drawable(probs: Float[Tensor, "batch vocab"]) -> Float[Tensor, "batch vocab"]:
    usable = (probs >= 0).all(dim=-1) & (probs > 0).any(dim=-1)
    if not bool(usable.all()):
        row = int((~usable).nonzero()[0])
        raise ValueError(
            f"row {row} has no token that could be drawn: its logits are NaN or all minus infinity; "
            "a processor forbids every token, or the model overflowed"
        )
    return probs
