"""From tokens as they come to text as it is read: whole characters only, and nothing that a stop string takes back.

Holds the step between `byhand.decoding.generation.stream` and the screen. Leaves out tokenizers; what decodes is
an argument. Built in chapter 8.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import TextIOBase
from typing import SupportsInt

from byhand.decoding.stopping import cut_at

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


def stream_text(
    tokens: Iterable[SupportsInt], decode: Callable[[list[int]], str], stops: Sequence[str] = ()
) -> Iterator[str]:
    """The text of one row in pieces, each as soon as it is certain; together they are the text of all its tokens.

    A character may be spread over several tokens: its bytes are held back until the last has come. So is what may
    be the beginning of a stop string; where one is complete the text ends before it, and no more tokens are
    asked for.

    Args:
        tokens: `stream(...)` for a batch of one, or any ids.
        decode: from all ids so far to text, with U+FFFD for a character that is not complete.
        stops: strings that end the text and are not part of it.

    Raises:
        ValueError: when a stop string is empty.

    >>> decode = lambda ids: bytes(ids).decode("utf-8", "replace")
    >>> list(stream_text("né. Q: so".encode(), decode, stops=[" Q:"]))
    ['n', 'é', '.']
    """
    cut_at("", stops)
    return _stream_text(tokens, decode, stops)


def _stream_text(
    tokens: Iterable[SupportsInt], decode: Callable[[list[int]], str], stops: Sequence[str]
) -> Iterator[str]:
    ids: list[int] = []
    text, shown = "", 0
    for token in tokens:
        ids.append(int(token))
        text = decode(ids)
        whole = text.removesuffix(INCOMPLETE)
        before = cut_at(whole, stops)
        certain = len(before) if before != whole else len(whole) - _begun(whole, stops)
        if certain > shown:
            yield whole[shown:certain]
            shown = certain
        if before != whole:
            return
    if len(text) > shown:
        yield text[shown:]


def print_text(pieces: Iterable[str], file: TextIOBase | None = None) -> str:
    """Write each piece at once, to the screen unless a file is given, then a new line; return the whole text."""
    out = sys.stdout if file is None else file
    text = ""
    for piece in pieces:
        out.write(piece)
        out.flush()
        text += piece
    out.write("\n")
    return text


def _begun(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of `text` may be the beginning of a stop string."""
    longest = max(map(len, stops), default=1) - 1
    tails = (text[len(text) - size :] for size in range(min(longest, len(text)), 0, -1))
    return next((len(tail) for tail in tails if any(stop.startswith(tail) for stop in stops)), 0)
