"""Encoding a text with learned merges, and decoding token ids.

Holds a tokenizer that remembers the ids of every piece of text it has seen, so that repeated text costs one
look-up a piece, and merges a new word by the lowest rank first, as training did; where many words are new,
`byhand.bpe.merging` merges them together. Leaves out streaming and offsets into the text. Built in chapter 2.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

from byhand.bpe.merging import PairTable
from byhand.bpe.words import cut_pieces, cut_words, split_specials

if TYPE_CHECKING:
    from typing import Self

REMEMBERED = 500_000
"""Pieces and words remembered before the memory starts anew: some 100 MB."""
MANY = 150
"""From so many new pieces on, encoding them together is faster than one by one."""


class BytePairTokenizer:
    """A byte-level BPE tokenizer: `encode` and `decode` are each other's inverse on any text.

    Args:
        vocab: id to bytes; holds all 256 bytes and the outcome of every merge.
        merges: pairs of tokens in the order they were learned.
        specials: special tokens, found in a text before anything else.

    Raises:
        ValueError: when the vocabulary lacks a byte, a merged token or a special token.

    >>> from byhand.bpe.training import train_bpe
    >>> tokenizer = BytePairTokenizer(*train_bpe("sea sea sea", 258))
    >>> tokenizer.encode("sea seal")
    [257, 32, 257, 108]
    >>> tokenizer.decode([257, 108])
    'seal'
    """

    def __init__(
        self,
        vocab: Mapping[int, bytes],
        merges: Sequence[tuple[bytes, bytes]],
        specials: Sequence[str] = (),
    ) -> None:
        self.vocab = dict(vocab)
        self.merges = list(merges)
        self.specials = tuple(specials)
        id_of = {token: number for number, token in self.vocab.items()}
        needed = [bytes([byte]) for byte in range(256)]
        needed += [left + right for left, right in merges]
        needed += [special.encode("utf-8") for special in specials]
        for token in needed:
            if token not in id_of:
                raise ValueError(f"the vocabulary has no id for {token!r}, which a byte, merge or special needs")
        self._special_ids = {special: id_of[special.encode("utf-8")] for special in specials}
        self._words = _Words(self.merges, id_of)
        self._pieces = _Pieces(self._words)

    @classmethod
    def load(cls, path: Path) -> "Self":
        """Read a file in the format of the `tokenizers` library; `byhand.bpe.storage` says which ones fit."""
        from byhand.bpe.storage import read_tokenizer

        return cls(*read_tokenizer(path))

    def save(self, path: Path) -> None:
        """Write a file that the `tokenizers` library loads; the ids it gives are the same."""
        from byhand.bpe.storage import write_tokenizer

        write_tokenizer(path, self.vocab, self.merges, self.specials)

    def encode(self, text: str) -> list[int]:
        """The token ids of a text.

        >>> BytePairTokenizer({byte: bytes([byte]) for byte in range(256)}, []).encode("é")
        [195, 169]
        """
        ids: list[int] = []
        for place, part in enumerate(split_specials(text, self.specials)):
            if place % 2:
                ids.append(self._special_ids[part])
            else:
                pieces = cut_pieces(part)
                start = len(ids)
                try:
                    for found in map(self._pieces.__getitem__, pieces):
                        ids.extend(found)
                except KeyError:  # a piece that was never seen: learn all of them, then look up again
                    del ids[start:]
                    self._pieces.learn(pieces)
                    for found in map(self._pieces.__getitem__, pieces):
                        ids.extend(found)
                    self._pieces.forget()
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; bytes that are no UTF-8 become U+FFFD.

        Raises:
            KeyError: when an id is not in the vocabulary.
        """
        return b"".join([self.vocab[number] for number in ids]).decode("utf-8", errors="replace")


class _Pieces(dict[str, list[int]]):
    """From a piece of text to its ids."""

    def __init__(self, words: "_Words") -> None:
        super().__init__()
        self.words = words

    def learn(self, pieces: Sequence[str]) -> None:
        """Work out the ids of pieces; afterwards all of them are known.

        In the order of the text, so that what is looked up one after the other lies together in memory.
        """
        new = [piece for piece in dict.fromkeys(pieces) if piece not in self]
        for ascii_only in (True, False):  # apart, because one other character slows the whole cut
            many = [piece for piece in new if piece.isascii() is ascii_only and not piece.isspace()]
            if len(many) >= MANY:
                self.update(zip(many, self.words.table.encode_pieces(many), strict=True))
        for piece in new:
            if piece not in self:
                self[piece] = list(chain.from_iterable(map(self.words.__getitem__, cut_words(piece))))

    def forget(self) -> None:
        """Let the memory start anew when it has grown too large."""
        if len(self) > REMEMBERED:
            self.clear()


class _Words(dict[str, list[int]]):
    """From a word to its ids, worked out when first asked for.

    Inside, a token is one character, so that a word is a `str` and a merge is `str.replace`.
    """

    def __init__(self, merges: Sequence[tuple[bytes, bytes]], id_of: Mapping[bytes, int]) -> None:
        super().__init__()
        tokens = dict.fromkeys([bytes([byte]) for byte in range(256)])
        tokens |= dict.fromkeys(left + right for left, right in merges)
        character = {token: chr(number) for number, token in enumerate(tokens)}
        self.ids = {character[token]: id_of[token] for token in tokens}
        self.made = [(character[a] + character[b], character[a + b]) for a, b in merges]
        self.ranks = self._new_ranks()
        pairs = [(ord(pair[0]), ord(pair[1])) for pair, _ in self.made]
        self.table = PairTable(pairs, [ord(made) for _, made in self.made], list(self.ids.values()))

    def _new_ranks(self) -> defaultdict[str, int]:
        """From a pair to its rank; pairs that are never merged get a rank behind all others."""
        never = repeat(len(self.made))
        return defaultdict(never.__next__, {pair: rank for rank, (pair, _) in enumerate(self.made)})

    def __missing__(self, word: str) -> list[int]:
        rank, never = self.ranks.__getitem__, len(self.made)
        tokens = word.encode("utf-8").decode("latin-1")  # byte b is the character number b
        while len(tokens) > 1:
            best = min(map(rank, map(add, tokens, tokens[1:])))
            if best == never:
                break
            pair, made = self.made[best]
            tokens = tokens.replace(pair, made)
        ids = [self.ids[token] for token in tokens]
        if len(self) >= REMEMBERED:
            self.clear()
            self.ranks = self._new_ranks()
        self[word] = ids
        return ids
