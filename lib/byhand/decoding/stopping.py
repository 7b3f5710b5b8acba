"""When to stop writing before the limit: at certain strings, or for any reason of the caller's.

A criterion is called with all the ids so far and says for each row whether it has ended:
`(ids (batch, seq)) -> bool (batch)`; `generate` takes it as `stop`. Leaves out the end-of-text token and the
number of tokens, which `generate` takes itself. Built in chapter 8.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from byhand.decoding.generation import Stop


@dataclass(frozen=True)
class StopStrings:
    """End a row as soon as its text holds one of some strings, however tokens cut it.

    The text goes on to the end of the token that completed the string: `cut_at` takes both off.

    Attributes:
        decode: from ids to text.
        strings: any of them ends a row.
        start: how many tokens the prompt has; what it holds ends nothing.

    Raises:
        ValueError: when a string is empty, or `start` is negative.

    >>> stop = StopStrings(lambda ids: "".join("ab\\n"[i] for i in ids), strings=["b\\n"], start=1)
    >>> stop(torch.tensor([[2, 0, 1, 2], [1, 2, 0, 1]]))
    tensor([ True, False])
    """

    decode: Callable[[list[int]], str]
    strings: Sequence[str]
    start: int = 0

    def __post_init__(self) -> None:
        cut_at("", self.strings)
        if self.start < 0:
            raise ValueError(f"start must be 0 or more, got {self.start}; it is the prompt's number of tokens")

    def __call__(self, ids: Int[Tensor, "batch seq"]) -> Bool[Tensor, " batch"]:
        """True for each row that holds a string."""
        texts = [self.decode(row) for row in ids[:, self.start :].tolist()]
        return torch.tensor([cut_at(text, self.strings) != text for text in texts], device=ids.device)


def any_of(*criteria: Stop) -> Stop:
    """The criterion that is met where one of several is; of none, never."""

    def stop(ids: Int[Tensor, "batch seq"]) -> Bool[Tensor, " batch"]:
        met = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        for criterion in criteria:
            met = met | criterion(ids)
        return met

    return stop


def cut_at(text: str, strings: Sequence[str]) -> str:
    """What stands before the first of the strings; all of it where there is none.

    Raises:
        ValueError: when a string is empty.

    >>> cut_at("Paris.\\nQ: And", ["\\nQ:", "\\n\\n"])
    'Paris.'
    """
    if "" in strings:
        raise ValueError("a stop string is empty, and every text holds that: leave it out")
    ends = [text.find(string) for string in strings]
    return text[: min((end for end in ends if end >= 0), default=len(text))]
