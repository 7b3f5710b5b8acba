"""Speculative decoding: a cheap model guesses ahead, the target checks all guesses at once, nothing is lost.

Holds the rule that keeps or replaces one guess, the loop around it, and what to expect of a pair of models. The
output has exactly the target's distribution: a rejected guess is replaced by a draw from the normalised
max(0, p - q), never by a draw from p. Leaves out caches (chapter 13), trees of guesses and batches of rows.
Built in chapter 8. Leviathan et al. 2023; Chen et al. 2023.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byhand.decoding.generation import require_prefix
from byhand.decoding.sampling import distribution, draw

Distributions = Callable[[Int[Tensor, " seq"]], Float[Tensor, "rows vocab"]]
"""From ids to probabilities: row -1 is the distribution after all the ids, row -2 that after all but the last."""


def speculative_step(
    p: Float[Tensor, " vocab"], q: Float[Tensor, " draft_vocab"], rng: torch.Generator
) -> tuple[int, bool]:
    """Draw one token whose distribution is `p`, by way of a guess drawn from `q`; say whether the guess was kept.

    The guess x is kept with probability min(1, p(x) / q(x)), so over all guesses with the sum of min(p, q).

    Raises:
        ValueError: when `p` and `q` differ in size, or one is not a distribution.

    >>> p, q = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    >>> speculative_step(p, q, torch.Generator().manual_seed(0))
    (1, False)
    """
    if p.shape != q.shape:
        raise ValueError(f"p has {len(p)} tokens, q has {len(q)}: target and draft must share a vocabulary")
    return _keep_or_replace(int(draw(q.unsqueeze(0), rng)), p, q, rng)


def check_guesses(
    guesses: list[int],
    q: Float[Tensor, "guesses draft_vocab"],
    p: Float[Tensor, "places vocab"],
    rng: torch.Generator,
) -> tuple[list[int], int]:
    """What is kept of a round's guesses, with the token that the target adds; and how many guesses were kept.

    Up to the first guess that is rejected, then its replacement; if none is, then a bonus token drawn from the
    target behind the last guess. So there is always one token more than guesses were kept.

    Args:
        q: the distribution that each guess was drawn from.
        p: the target's distribution at the place of each guess, and at the place behind the last.

    Raises:
        ValueError: when `p` has not one row more than there are guesses, or another vocabulary than `q`.
    """
    if len(p) != len(guesses) + 1:
        raise ValueError(
            f"{len(guesses)} guesses need {len(guesses) + 1} rows of the target, one a place and one behind; "
            f"got {len(p)}"
        )
    if q.shape[-1] != p.shape[-1]:
        raise ValueError(
            f"the draft has a vocabulary of {q.shape[-1]}, the target one of {p.shape[-1]}: both must share a tokenizer"
        )
    tokens: list[int] = []
    for place, guess in enumerate(guesses):
        token, kept = _keep_or_replace(guess, p[place], q[place], rng)
        tokens.append(token)
        if not kept:
            return tokens, place
    return [*tokens, int(draw(p[-1:], rng))], len(guesses)


class Round(NamedTuple):
    """What one call of the target gave: the new tokens, how many were guessed, how many guesses were kept."""

    tokens: list[int]
    drafted: int
    accepted: int


def speculative_rounds(
    target: Distributions,
    draft: Distributions,
    prefix: Int[Tensor, " seq"],
    gamma: int,
    max_new: int,
    rng: torch.Generator,
    eos: int | None = None,
) -> Iterator[Round]:
    """The rounds of `speculative_decode` as they come, with the same arguments: to show, or to count.

    Raises:
        ValueError: as there.
    """
    require_rounds(prefix, gamma, max_new)
    return _rounds(target, draft, prefix, gamma, max_new, rng, eos)


def require_rounds(prefix: Int[Tensor, " seq"], gamma: int, max_new: int) -> None:
    """Refuse what no round of guesses can begin with.

    Raises:
        ValueError: when the prefix is empty, `gamma` is below 1 or `max_new` negative.
    """
    require_prefix(prefix)
    if gamma < 1 or max_new < 0:
        raise ValueError(f"need gamma >= 1 guess a round and max_new >= 0, got gamma={gamma}, max_new={max_new}")


def _rounds(
    target: Distributions,
    draft: Distributions,
    ids: Int[Tensor, " seq"],
    gamma: int,
    max_new: int,
    rng: torch.Generator,
    eos: int | None,
) -> Iterator[Round]:
    end = len(ids) + max_new
    while len(ids) < end:
        start = len(ids)
        sources = []
        for _ in range(min(gamma, end - start - 1)):  # one place is left for the target's own token
            sources.append(draft(ids)[-1])
            ids = torch.cat([ids, draw(sources[-1].unsqueeze(0), rng).to(ids)])
        rows = target(ids)[-len(sources) - 1 :]
        q = torch.stack(sources) if sources else rows[:0]
        tokens, accepted = check_guesses(ids[start:].tolist(), q, rows, rng)
        if eos in tokens:
            tokens = tokens[: tokens.index(eos) + 1]
            end = start + len(tokens)
        ids = torch.cat([ids[:start], ids.new_tensor(tokens)])
        yield Round(tokens, len(sources), min(accepted, len(tokens)))


def speculative_decode(
    target: Distributions,
    draft: Distributions,
    prefix: Int[Tensor, " seq"],
    gamma: int,
    max_new: int,
    rng: torch.Generator,
    eos: int | None = None,
) -> tuple[Int[Tensor, " seq_new"], int]:
    """Continue `prefix` by `max_new` tokens as the target would; return all ids and the calls of the target.

    The joint distribution is the target's, whatever the draft. Where both put all probability on one token, as
    `distributions_of` does at temperature 0, the output is the target's greedy one.

    Args:
        target: called once a round, with all the ids and guesses; must give at least one row for each guess and
            one more. A model with a cache may give just those.
        draft: called for each guess; only its last row is used. Must see ids that were taken back vanish.
        gamma: guesses a round; fewer at the end, since the target's own token must fit in.
        eos: the token after which the text ends; it is kept.

    Raises:
        ValueError: when the prefix is empty, `gamma` is below 1, `max_new` is negative, the vocabularies differ,
            or the target gives too few rows.

    >>> fair = lambda ids: torch.full((len(ids), 2), 0.5)
    >>> ids, calls = speculative_decode(fair, fair, torch.tensor([0]), 3, 8, torch.Generator().manual_seed(0))
    >>> len(ids), calls
    (9, 2)
    """
    ids, calls = prefix, 0
    for tokens, _, _ in speculative_rounds(target, draft, prefix, gamma, max_new, rng, eos):
        ids = torch.cat([ids, ids.new_tensor(tokens)])
        calls += 1
    return ids.clone() if calls == 0 else ids, calls


def distributions_of(
    model: Callable[[Int[Tensor, "batch seq"]], Float[Tensor, "batch seq vocab"]],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Distributions:
    """A model's distributions after each position, as `sample` would draw from them, without gradients.

    Use the same settings for target and draft: the output then is distributed as if the target alone were
    sampled with them.
    """

    def distributions(ids: Int[Tensor, " seq"]) -> Float[Tensor, "seq vocab"]:
        with torch.no_grad():
            return distribution(model(ids.unsqueeze(0))[0], temperature, top_k, top_p)

    return distributions


def acceptance_rate(p: Float[Tensor, "*batch vocab"], q: Float[Tensor, "*batch vocab"]) -> Float[Tensor, "*batch"]:
    """The probability that a guess from `q` is kept where `p` is wanted: the sum of min(p, q) over the tokens.

    1 minus the total variation distance. Leviathan et al. 2023, theorem 3.5.

    >>> acceptance_rate(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]))
    tensor(0.7500)
    """
    return torch.minimum(p, q).sum(dim=-1)


def expected_tokens(acceptance: float, gamma: int) -> float:
    """How many tokens a call of the target gives on average, were each guess kept with the same probability.

    (1 - a ** (gamma + 1)) / (1 - a): Leviathan et al. 2023, equation 1. Real guesses are kept more often in some
    places than in others, so the number is an estimate.

    Raises:
        ValueError: when `acceptance` is not between 0 and 1, or `gamma` is below 1.

    >>> expected_tokens(0.5, 3), expected_tokens(1.0, 3)
    (1.875, 4.0)
    """
    if not 0 <= acceptance <= 1 or gamma < 1:
        raise ValueError(f"need acceptance in [0, 1] and gamma >= 1, got acceptance={acceptance}, gamma={gamma}")
    return float(sum(acceptance**kept for kept in range(gamma + 1)))


def _keep_or_replace(
    guess: int, p: Float[Tensor, " vocab"], q: Float[Tensor, " vocab"], rng: torch.Generator
) -> tuple[int, bool]:
    ratio = float(p[guess]) / float(q[guess])
    if float(torch.rand((), generator=rng, dtype=torch.float64, device=rng.device)) < ratio:
        return guess, True
    residual = (p - q).clamp(min=0)
    # Where p and q differ by rounding alone nothing is left, and p is as good.
    return int(draw((residual if bool(residual.any()) else p).unsqueeze(0), rng)), False
