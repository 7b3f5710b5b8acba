"""Conversations as text, and training examples in which only the answer is learned.

Holds the template, and the labels of supervised fine-tuning (SFT). Leaves out tools and pictures in a conversation.
Built in chapter 11.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from byhand.packing import IGNORED

ROLES = ("system", "user", "assistant")
END = "<|end|>"


def chat_template(messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = False) -> str:
    """A conversation as one text: each message between the mark of its role and the mark of its end.

    What looks like a mark inside a message is broken up, so that nobody speaks in another's name. The system speaks
    first or not at all; then user and assistant take turns.

    Args:
        messages: each with a `role` (system, user, assistant) and a `content`.
        add_generation_prompt: end with the assistant's mark, so that a model answers.

    Raises:
        ValueError: when a role is unknown or out of turn, or there is no message.

    >>> print(chat_template([{"role": "user", "content": "2 + 2?"}], add_generation_prompt=True))
    <|user|>
    2 + 2?<|end|>
    <|assistant|>
    <BLANKLINE>
    """
    if not messages:
        raise ValueError("a conversation needs at least one message")
    expected: tuple[str, ...] = ("system", "user")
    parts = []
    for place, message in enumerate(messages):
        role = message["role"]
        if role not in ROLES:
            raise ValueError(f"message {place} has the role {role!r}; there are {', '.join(ROLES)}")
        if role not in expected:
            raise ValueError(
                f"message {place} is the {role}'s, expected the {' or the '.join(expected)}'s: "
                "the system speaks first, then user and assistant in turn"
            )
        expected = ("assistant",) if role == "user" else ("user",)
        content = message["content"].replace("<|", "< |").replace("|>", "| >")
        parts.append(f"<|{role}|>\n{content}{END}\n")
    if add_generation_prompt:
        parts.append("<|assistant|>\n")
    return "".join(parts)


def sft_example(
    prompt: Sequence[int], response: Sequence[int], eos: int, pad: int, max_len: int
) -> tuple[list[int], list[int]]:
    """Token ids and labels of one example, both `max_len` long: only the response and its end are learned.

    A label is the id at its own place (the loss shifts), -100 where nothing is learned. A prompt that is too long
    loses its beginning, since the end is nearest to the answer; a response is never cut.

    Raises:
        ValueError: when the response with its end does not fit, or is empty.

    >>> sft_example([1, 2, 3, 4], [7, 8], eos=0, pad=9, max_len=5)
    ([3, 4, 7, 8, 0], [-100, -100, 7, 8, 0])
    >>> sft_example([1], [7], eos=0, pad=0, max_len=5)
    ([1, 7, 0, 0, 0], [-100, 7, 0, -100, -100])
    """
    if not response:
        raise ValueError("the response is empty: there is nothing to learn from this example")
    answer = [*response, eos]
    if len(answer) > max_len:
        raise ValueError(
            f"the response has {len(answer)} tokens with its end and max_len is {max_len}: leave the example out, or "
            "take a larger max_len; cutting it would teach to stop in the middle"
        )
    room = max_len - len(answer)
    kept = list(prompt)[-room:] if room else []
    filling = max_len - len(kept) - len(answer)
    return kept + answer + [pad] * filling, [IGNORED] * len(kept) + answer + [IGNORED] * filling


def sft_batch(
    examples: Sequence[tuple[Sequence[int], Sequence[int]]], eos: int, pad: int, max_len: int
) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"]]:
    """Inputs and targets of several (prompt, response) pairs for a causal model, shifted against each other.

    At each place the target is the next token, or -100; both are as long as the longest example needs.

    Raises:
        ValueError: when there is no example, or one does not fit.

    >>> inputs, targets = sft_batch([([1, 2], [7]), ([3], [8, 9])], eos=0, pad=0, max_len=6)
    >>> inputs.tolist(), targets.tolist()
    ([[1, 2, 7], [3, 8, 9]], [[-100, 7, 0], [8, 9, 0]])
    """
    if not examples:
        raise ValueError("a batch needs at least one example")
    rows = [sft_example(prompt, response, eos, pad, max_len) for prompt, response in examples]
    longest = max(min(len(prompt) + len(response) + 1, max_len) for prompt, response in examples)
    ids, labels = (torch.tensor(column)[:, :longest] for column in zip(*rows, strict=True))
    return ids[:, :-1], labels[:, 1:]
