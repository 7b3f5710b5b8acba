"""Speculative decoding with caches: a cheap engine guesses, the target checks all guesses in one call.

Holds the loop; the rule that keeps or replaces a guess is chapter 8's. What was fed for a rejected guess is taken
back by cutting both caches. Leaves out batches of rows and trees of guesses. Built in chapter 13.
Leviathan et al. 2023; Chen et al. 2023.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from byhand.decoding import Round, check_guesses, distribution, draw
from byhand.decoding.speculative import require_rounds
from byhand.inference.engine import Engine
from byhand.inference.generation import require_room


def speculate(
    target: Engine,
    draft: Engine,
    prefix: Int[Tensor, " seq"],
    gamma: int,
    max_new: int,
    rng: torch.Generator | None = None,
    eos: int | None = None,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> tuple[Int[Tensor, " seq_new"], int]:
    """Continue `prefix` as the target would; return all ids and the calls of the target, the first one included.

    Without `rng` the output is the target's greedy one; with it, it is drawn from the target's distribution under
    the given settings, whatever the draft. The draft decides about speed alone.

    Args:
        gamma: guesses a round; fewer at the end, since the target's own token must fit in.
        rng: where random numbers come from; None picks the likeliest token.
        eos: the token after which the text ends; it is kept.

    Raises:
        ValueError: when the prefix is empty or does not fit with its continuation, `gamma` is below 1, `max_new` is
            negative, the vocabularies differ, or a setting is out of its range.

    >>> from byhand.gpt import GPT, GPTConfig
    >>> from byhand.inference.engine import prepare
    >>> gpt = GPT(GPTConfig.tiny(), torch.Generator().manual_seed(0))
    >>> ids, calls = speculate(prepare(gpt), prepare(gpt), torch.tensor([3, 1, 4]), gamma=3, max_new=8)
    >>> len(ids), calls
    (11, 2)
    """
    ids, calls = prefix, 0
    for tokens, _, _ in speculate_rounds(
        target, draft, prefix, gamma, max_new, rng, eos, temperature=temperature, top_k=top_k, top_p=top_p
    ):
        ids = torch.cat([ids, ids.new_tensor(tokens)])
        calls += 1
    return ids.clone() if calls == 0 else ids, calls


def speculate_rounds(
    target: Engine,
    draft: Engine,
    prefix: Int[Tensor, " seq"],
    gamma: int,
    max_new: int,
    rng: torch.Generator | None = None,
    eos: int | None = None,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Iterator[Round]:
    """The rounds of `speculate` as they come, with the same arguments, which are checked at once.

    Raises:
        ValueError: as there.
    """
    require_rounds(prefix, gamma, max_new)
    if target is draft:
        raise ValueError("target and draft are one engine, whose cache cannot hold both texts: prepare two")
    if target.config.vocab_size != draft.config.vocab_size:
        raise ValueError(
            f"the draft has a vocabulary of {draft.config.vocab_size}, the target one of {target.config.vocab_size}: "
            "both must share a tokenizer"
        )
    for engine in (target, draft):
        require_room(engine, prefix.unsqueeze(0), max_new)
    if rng is None:
        return _greedy_rounds(target, draft, prefix, gamma, max_new, eos)
    settings = (temperature, top_k, top_p)
    distribution(torch.zeros(1), *settings)  # a bad setting is refused here
    return _sampled_rounds(target, draft, prefix, gamma, max_new, eos, rng, settings)


def _greedy_rounds(
    target: Engine, draft: Engine, prefix: Tensor, gamma: int, max_new: int, eos: int | None
) -> Iterator[Round]:
    text = _Text(target, draft, prefix, max_new, eos)
    while room := text.open(gamma):
        for _ in range(room - 1):
            text.ids.append(int(text.guess().argmax()))
        chosen = text.check().argmax(dim=-1).tolist()
        kept = next((i for i, guess in enumerate(text.guesses) if guess != chosen[i]), room - 1)
        yield text.close(chosen[: kept + 1], kept)


def _sampled_rounds(
    target: Engine,
    draft: Engine,
    prefix: Tensor,
    gamma: int,
    max_new: int,
    eos: int | None,
    rng: torch.Generator,
    settings: tuple[float, int | None, float | None],
) -> Iterator[Round]:
    text = _Text(target, draft, prefix, max_new, eos)
    while room := text.open(gamma):
        sources = []
        for _ in range(room - 1):
            sources.append(distribution(text.guess(), *settings))
            text.ids.append(int(draw(sources[-1], rng)))
        p = distribution(text.check(), *settings)
        tokens, kept = check_guesses(text.guesses, torch.cat(sources) if sources else p[:0], p, rng)
        yield text.close(tokens, kept)


class _Text:
    """The ids so far, and two caches that hold a beginning of them."""

    def __init__(self, target: Engine, draft: Engine, prefix: Tensor, max_new: int, eos: int | None) -> None:
        self.target, self.draft, self.eos = target, draft, eos
        self.ids: list[int] = prefix.tolist()
        self.end = len(self.ids) + max_new
        self.device = prefix.device
        for engine in (target, draft):
            engine.reset()

    def open(self, gamma: int) -> int:
        """Begin a round; how many tokens it can give: the guesses, and one of the target's. 0 at the end."""
        self.start = len(self.ids)
        return min(gamma + 1, self.end - self.start)

    @property
    def guesses(self) -> list[int]:
        return self.ids[self.start :]

    def guess(self) -> Tensor:
        """The draft's logits (1, vocab) after all the ids."""
        return self.draft.decode(self._unread(self.draft))

    def check(self) -> Tensor:
        """The target's logits at the place of each guess and behind the last: (guesses + 1, vocab)."""
        places = len(self.ids) - self.start + 1
        return self.target.verify(self._unread(self.target), places)[0]

    def close(self, tokens: list[int], kept: int) -> Round:
        """Replace the guesses by what came of them, and let the caches forget what no longer stands."""
        drafted = len(self.guesses)
        if self.eos in tokens:
            tokens = tokens[: tokens.index(self.eos) + 1]
            self.end = self.start + len(tokens)
        self.ids[self.start :] = tokens
        for engine in (self.target, self.draft):
            engine.cache.truncate(min(engine.cache.length, self.start + kept))
        return Round(tokens, drafted, min(kept, len(tokens)))

    def _unread(self, engine: Engine) -> Tensor:
        return torch.tensor([self.ids[engine.cache.length :]], device=self.device)
