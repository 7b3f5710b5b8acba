"""Memorisation: has a model learned a secret by heart that stood in its training text?

Holds the exposure of a canary, a made-up secret that is put into the text on purpose, the drawing of canaries and
their log-probabilities. Leaves out membership inference (chapter 11) and extraction by generating text. Built in
chapter 4.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor, nn

from byhand.training.evaluation import evaluating

AT_ONCE = 64


def exposure(logp_canary: float, logp_random: Float[Tensor, " random"]) -> float:
    """How far above chance a model ranks a canary among R random ones: log2 R - log2 rank, in bits.

    The rank counts from 1, the canary among the likeliest; those just as likely stand before it, so that a model
    which tells nothing apart gives 0 or less. log2 R means that it is likelier than every other (Carlini et al.
    2019, definition 5, with a sample in place of all possible secrets).

    Args:
        logp_canary: the log-probability of the canary that was in the training text.
        logp_random: those of R canaries that were not, drawn in the same way.

    Raises:
        ValueError: when there is nothing to compare with, or a log-probability is not a number.

    >>> exposure(-3.0, torch.tensor([-9.0, -8.0, -2.0, -7.0]))
    1.0
    """
    if not len(logp_random):
        raise ValueError("exposure is a rank among random canaries: draw some that were not in the text")
    if math.isnan(logp_canary) or bool(logp_random.isnan().any()):
        raise ValueError("a log-probability is not a number, so there is no rank: look at the model's logits")
    rank = 1 + int((logp_random >= logp_canary).sum())
    return math.log2(len(logp_random)) - math.log2(rank)


def draw_canaries(
    count: int, parts: Sequence[Sequence[int] | int], rng: torch.Generator
) -> Int[Tensor, "count length"]:
    """Canaries of one format: fixed tokens, and places where each draws one of several tokens.

    All rows differ, so that none is another's rank mate.

    Args:
        count: how many.
        parts: for each place a token, or the tokens to draw from uniformly ("my number is" + six digits).
        rng: a CPU generator of torch.

    Raises:
        ValueError: when the format has fewer than `count` different canaries, or a place has nothing to draw from.

    >>> draw_canaries(2, [7, [0, 1]], torch.Generator().manual_seed(0)).sort(0).values.tolist()
    [[7, 0], [7, 1]]
    """
    choices = [[part] if isinstance(part, int) else list(dict.fromkeys(part)) for part in parts]
    possible = math.prod(map(len, choices))
    if not choices or count > possible:
        raise ValueError(f"the format has {possible if choices else 0} different canaries, {count} were asked for")
    drawn: dict[tuple[int, ...], None] = {}
    while len(drawn) < count:
        picks = [int(torch.randint(len(options), (), generator=rng)) for options in choices]
        drawn[tuple(options[pick] for options, pick in zip(choices, picks, strict=True))] = None
    return torch.tensor(list(drawn), dtype=torch.long).view(count, len(choices))


def sequence_logprobs(model: nn.Module, ids: Int[Tensor, "rows seq"], given: int = 1) -> Float[Tensor, " rows"]:
    """The log-probability of each row's tokens after the first `given`, in nats.

    Raises:
        ValueError: when `given` leaves nothing to predict, or is below 1.
    """
    if not 1 <= given < ids.shape[1]:
        raise ValueError(f"given must be 1 to {ids.shape[1] - 1} in rows of {ids.shape[1]} tokens, got {given}")
    found = []
    with evaluating(model):
        for rows in torch.split(ids, AT_ONCE):
            logits = model(rows[:, :-1])[:, given - 1 :].float()
            losses = F.cross_entropy(logits.flatten(0, 1), rows[:, given:].flatten(), reduction="none")
            found.append(-losses.view(len(rows), -1).sum(-1))
    return torch.cat(found)
