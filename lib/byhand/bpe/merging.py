"""Encoding thousands of new pieces of text at one time, as whole arrays.

Holds the same merges as the tokenizer's loop over one word, with a step for all words together: each word's lowest
rank is found, and all places of that pair are merged. Pays from some hundred pieces on; text that was never seen has
tens of thousands. Leaves out remembering what was found. Built in chapter 2.
"""

from collections.abc import Sequence

import numpy as np

from byhand.bpe.words import cut_words

_SHIFT = 32
"""Bits that the right symbol of a pair takes in its key."""


class PairTable:
    """From pairs of symbols to their rank and what they become, for whole arrays.

    Args:
        pairs: left and right symbol of each merge, in the order of their ranks; symbols below 256 are bytes.
        made: the symbol that each merge makes.
        id_of: the token id of each symbol.
    """

    def __init__(self, pairs: Sequence[tuple[int, int]], made: Sequence[int], id_of: Sequence[int]) -> None:
        keys = np.array([left << _SHIFT | right for left, right in pairs], np.int64)
        order = np.argsort(keys)
        self.keys = np.append(keys[order], np.iinfo(np.int64).max)  # a last key that no pair has
        self.rank_of = np.append(order, len(keys))
        self.made = np.array(made, np.int64)
        self.id_of = list(id_of)
        self.never = len(keys)

    def ranks(self, symbols: np.ndarray, word_of: np.ndarray) -> np.ndarray:
        """The rank of the pair that starts at each place; `never` where none does or the word ends."""
        ranks = np.full(len(symbols), self.never)
        key = symbols[:-1] << _SHIFT | symbols[1:]
        at = np.searchsorted(self.keys, key)
        known = (self.keys[at] == key) & (word_of[:-1] == word_of[1:])
        ranks[:-1][known] = self.rank_of[at[known]]
        return ranks

    def merge_words(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The symbols of all words, one after the other, and how many each has; the words are not empty.

        >>> table = PairTable([(97, 97), (256, 97)], [256, 257], range(258))
        >>> [part.tolist() for part in table.merge_words(["aaa", "ab", "aaaa"])]
        [[257, 97, 98, 256, 256], [1, 2, 2]]
        """
        encoded = [word.encode("utf-8") for word in words]
        symbols = np.frombuffer(b"".join(encoded), np.uint8).astype(np.int64)
        word_of = np.repeat(np.arange(len(encoded)), [len(word) for word in encoded])
        done = []
        while len(symbols):
            ranks = self.ranks(symbols, word_of)
            starts = np.flatnonzero(np.append(True, word_of[1:] != word_of[:-1]))
            lowest = np.minimum.reduceat(ranks, starts)
            lowest = np.repeat(lowest, np.diff(np.append(starts, len(symbols))))
            finished = lowest == self.never
            done.append((symbols[finished], word_of[finished]))
            left = every_second(np.flatnonzero((ranks == lowest) & ~finished))
            symbols[left] = self.made[ranks[left]]
            kept = ~finished
            kept[left + 1] = False
            symbols, word_of = symbols[kept], word_of[kept]
        symbols, word_of = (np.concatenate(parts) for parts in zip(*done, strict=True))
        order = np.argsort(word_of, kind="stable")
        return symbols[order], np.bincount(word_of, minlength=len(words))

    def encode_pieces(self, pieces: Sequence[str]) -> list[list[int]]:
        """The token ids of each piece of text; no piece is empty or white space.

        A line break goes between the pieces: the cut makes it a word of its own, since a piece starts with a visible
        character or with one space and one such character, and its one id says where a piece ends.

        >>> PairTable([(97, 97)], [256], range(257)).encode_pieces(["aa1", " aa"])
        [[256, 49], [32, 256]]
        """
        words = cut_words("\n".join([*pieces, ""]))
        number = {word: place for place, word in enumerate(dict.fromkeys(words))}
        symbols, counts = self.merge_words(list(number))
        chosen = np.fromiter(map(number.__getitem__, words), np.int64, len(words))
        sizes = counts[chosen]
        ends = np.cumsum(sizes)
        # place in `symbols` of each one to write: where its word begins there, plus how far into the word it is
        shift = (np.cumsum(counts) - counts)[chosen] - (ends - sizes)
        placed = symbols[np.repeat(shift, sizes) + np.arange(ends[-1])].tolist()
        # One int object for each id, not one for each place: what is looked up later lies close together in memory.
        written = list(map(self.id_of.__getitem__, placed))
        breaks = ends[chosen == number["\n"]].tolist()
        return [written[start : stop - 1] for start, stop in zip([0, *breaks], breaks, strict=False)]


def every_second(places: np.ndarray) -> np.ndarray:
    """Of places in a row the first, third, fifth ...: "aaa" holds the pair "aa" twice, and one can be merged.

    >>> every_second(np.array([0, 1, 2, 7, 9, 10])).tolist()
    [0, 2, 7, 9]
    """
    number = np.arange(len(places))
    begins = np.append(True, np.diff(places) > 1)[: len(places)]
    first = np.maximum.accumulate(np.where(begins, number, 0))
    chosen: np.ndarray = places[(number - first) % 2 == 0]
    return chosen
