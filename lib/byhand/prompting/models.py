"""What prompting needs of a language model, and two that have it: our own checkpoints, and a scripted one.

Holds the protocol `LanguageModel`, a GPT with its tokenizer behind it, and a model that replays given texts. Models
behind a URL are in `byhand.prompting.endpoint`. Leaves out streaming to the screen, which is chapter 8's. Built in
chapter 9.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from byhand.decoding import Step, cut_at, generate, sample
from byhand.gpt import GPT


@runtime_checkable
class LanguageModel(Protocol):
    """Anything that goes on with a text: a checkpoint, an endpoint, or a stand-in of three lines."""

    def complete(
        self, text: str, *, max_tokens: int = 256, temperature: float = 0.0, stop: Sequence[str] = (), seed: int = 0
    ) -> str:
        """The text that follows, without `text` itself.

        Args:
            text: the prompt.
            max_tokens: the most tokens to write.
            temperature: 0 takes the most likely token each time.
            stop: strings at the first of which the completion ends; it is not part of it.
            seed: the same seed gives the same completion.
        """
        ...


@runtime_checkable
class BatchModel(Protocol):
    """A language model that can also draw many completions of one prompt at once."""

    def sample(
        self, text: str, count: int, *, max_tokens: int, temperature: float, stop: Sequence[str], seed: int
    ) -> list[str]:
        """`count` completions; number i is what `complete` gives with the seed `seed` + i."""
        ...


class ScriptedModel:
    """A language model that says what it was given to say, in turn: for tests, and to try a method without a model.

    Args:
        texts: the completions; after the last it starts again.

    Raises:
        ValueError: when there are no texts.

    >>> model = ScriptedModel(["Yes. Because.", "No."])
    >>> model.complete("Is it so?", stop=["."]), model.complete("And now?")
    ('Yes', 'No.')
    >>> model.prompts
    ['Is it so?', 'And now?']
    """

    def __init__(self, texts: Sequence[str]) -> None:
        if not texts:
            raise ValueError("a scripted model needs at least one text to say")
        self.texts = list(texts)
        self.prompts: list[str] = []

    def complete(
        self, text: str, *, max_tokens: int = 256, temperature: float = 0.0, stop: Sequence[str] = (), seed: int = 0
    ) -> str:
        """The next text in turn, up to the first stop string; the other settings change nothing."""
        self.prompts.append(text)
        return cut_at(self.texts[(len(self.prompts) - 1) % len(self.texts)], stop)


class CheckpointModel:
    """A language model made of a GPT and its tokenizer.

    The model is used as it stands, on its own device and in evaluation mode; its mode is restored. A completion
    ends at the end token, at a stop string, after `max_tokens`, or where the model's positions end.

    Args:
        model: the network.
        tokenizer: has `encode(text)` and `decode(ids)`: one of ours, or one of the `tokenizers` library.
        eos: the id that ends a text, or None. It also stands before an empty prompt.
        begin: the id put before every prompt, or None where training put none.
        step: what gives the next token's logits instead of the model itself, such as an engine with a cache.

    >>> from byhand.corpora.word_problems import vocabulary
    >>> from byhand.gpt import GPTConfig
    >>> words = vocabulary()
    >>> model = CheckpointModel(GPT(GPTConfig.tiny(vocab_size=len(words))), words, eos=0)
    >>> len(words.encode(model.complete("Q: How many", max_tokens=3))) <= 3
    True
    """

    def __init__(
        self, model: GPT, tokenizer: Any, *, eos: int | None = None, begin: int | None = None, step: Step | None = None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.eos = eos
        self.begin = begin
        self.step = step or model.next_logits

    def complete(
        self, text: str, *, max_tokens: int = 256, temperature: float = 0.0, stop: Sequence[str] = (), seed: int = 0
    ) -> str:
        """The text that follows `text`; see `LanguageModel`.

        Raises:
            ValueError: when the prompt is empty and there is no end token, or leaves no position free.
        """
        return self.sample(text, 1, max_tokens=max_tokens, temperature=temperature, stop=stop, seed=seed)[0]

    @torch.no_grad()
    def sample(
        self,
        text: str,
        count: int,
        *,
        max_tokens: int = 256,
        temperature: float = 0.7,
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> list[str]:
        """`count` completions of one prompt, drawn as one batch; number i has the seed `seed` + i.

        Raises:
            ValueError: as `complete`.
        """
        prompt = self._encode(text)
        device = next(self.model.parameters()).device
        prefix = torch.tensor([prompt] * count, device=device)
        draws = [torch.Generator().manual_seed(seed + number) for number in range(count)]

        def pick(logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
            rows = zip(logits.double().cpu()[:, None], draws, strict=True)
            return torch.cat([sample(row, temperature, None, None, rng) for row, rng in rows])

        def stopped(ids: Int[Tensor, "batch seq"]) -> Bool[Tensor, " batch"]:
            written = [self._decode(row) for row in ids[:, len(prompt) :]]
            return torch.tensor([any(word in text for word in stop) for text in written], device=device)

        room = min(max_tokens, self.model.config.max_seq - len(prompt))
        training = self.model.training
        self.model.eval()
        try:
            ids = generate(self.step, prefix, room, pick, self.eos, stop=stopped if stop else None)
        finally:
            self.model.train(training)
        return [cut_at(self._decode(row), stop) for row in ids[:, len(prompt) :]]

    def _encode(self, text: str) -> list[int]:
        encoded = self.tokenizer.encode(text)
        ids = ([] if self.begin is None else [self.begin]) + list(getattr(encoded, "ids", encoded))
        if not ids and self.eos is not None:
            ids = [self.eos]
        if not ids:
            raise ValueError("the prompt is empty and the model has no end token to begin with: give it a text")
        if len(ids) >= self.model.config.max_seq:
            raise ValueError(
                f"the prompt has {len(ids)} tokens and the model has {self.model.config.max_seq} positions, so "
                "there is no place for an answer: shorten it, or give few_shot_prompt a smaller budget"
            )
        return ids

    def _decode(self, row: Int[Tensor, " seq"]) -> str:
        ids = row.tolist()
        return str(self.tokenizer.decode(ids[: ids.index(self.eos)] if self.eos in ids else ids))
