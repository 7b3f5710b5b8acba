"""Cutting documents into passages: short enough to embed, overlapping so that no sentence is lost at a border.

Holds windows over token ids, and sentences. Leaves out cutting by headings, which needs a document's markup. Built in
chapter 10.
"""

import re
from collections.abc import Sequence


def chunk_text(ids: Sequence[int], size: int, overlap: int) -> list[list[int]]:
    """Windows of `size` tokens, each beginning with the last `overlap` tokens of the one before.

    Every token is in a window. The last window ends with the text, so it may be shorter, but it always holds
    a token that no other has. No tokens, no windows.

    Raises:
        ValueError: when `size` is below 1, or `overlap` is not between 0 and size - 1.

    >>> chunk_text([1, 2, 3, 4, 5, 6], size=4, overlap=1)
    [[1, 2, 3, 4], [4, 5, 6]]
    """
    if not 0 <= overlap < size:
        raise ValueError(
            f"need 0 <= overlap < size, got size={size}, overlap={overlap}: each window must bring something new"
        )
    starts = range(0, max(len(ids) - overlap, 1), size - overlap) if len(ids) else ()
    return [list(ids[start : start + size]) for start in starts]


def split_sentences(text: str) -> list[str]:
    r"""The sentences of a text, each on one line: cut at full stops and the like before a capital, and at blank lines.

    >>> split_sentences("Opens a\nfile. See io.open.\n\nAn item\n  * Another")
    ['Opens a file.', 'See io.open.', 'An item', '* Another']
    """
    parts = re.split(r"(?<=[.!?:])\s+(?=[A-Z\"'`(*])|\n\s*\n|\n(?=\s*[*\-] )", text)
    return [" ".join(part.split()) for part in parts if part.strip()]
