r"""A closed vocabulary of words and signs, for corpora that are generated and so know every token.

Holds text to ids and back. Leaves out sub-words: a word that is not listed is an error, not a piece
(`byhand.corpora.tokenizer` has pieces). Belongs to no chapter.
"""

import re
from collections.abc import Iterable, Sequence

END = "<end>"
_TIGHT = re.compile(r" (?=[.,?:;])| ?(\n) ?|(?<=\d) (?=\d)")


class Vocabulary:
    r"""Tokens in the order of their ids; `<end>` is id 0, stands before a text and closes it.

    Args:
        tokens: all but `<end>`.
        pattern: regular expression that cuts a text into tokens; what it leaves must be white space.

    >>> vocabulary = Vocabulary(["A", ":", "is", ".", *"0123456789"], r"\d|\w+|\S")
    >>> vocabulary.encode("A: is 12.")
    [1, 2, 3, 6, 7, 4]
    >>> vocabulary.decode([1, 2, 3, 6, 7, 4, 0])
    'A: is 12.'
    """

    def __init__(self, tokens: Iterable[str], pattern: str) -> None:
        self.tokens = (END, *tokens)
        self._ids = {token: index for index, token in enumerate(self.tokens)}
        self._pattern = re.compile(f"{END}|{pattern}")

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """The ids of a text; no `<end>` is added.

        Raises:
            ValueError: when the text holds tokens outside the vocabulary; names them.
        """
        pieces = self._pattern.findall(text)
        try:
            return [self._ids[piece] for piece in pieces]
        except KeyError:
            strange = sorted(set(pieces) - self._ids.keys())
            raise ValueError(
                f"the vocabulary has no {', '.join(map(repr, strange[:10]))}: "
                f"say it with its {len(self)} tokens (`.tokens` lists them)"
            ) from None

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, up to the first `<end>` after its beginning; spaces as in print.

        An `<end>` that stands before the text is left out too. Digits that follow one another are one number.

        Raises:
            ValueError: when an id lies outside the vocabulary.
        """
        strange = [i for i in ids if not 0 <= i < len(self)]
        if strange:
            raise ValueError(f"ids must lie in 0..{len(self) - 1}, got {strange[:5]}: was another vocabulary meant?")
        start = next((place for place, i in enumerate(ids) if i != 0), len(ids))
        stop = next((place for place in range(start, len(ids)) if ids[place] == 0), len(ids))
        return _TIGHT.sub(r"\1", " ".join(self.tokens[i] for i in ids[start:stop]))
