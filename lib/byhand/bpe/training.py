"""Learning byte-pair merges: count the pairs of neighbours, merge the most frequent pair, repeat.

Holds a trainer in plain Python that is about as fast as compiled ones. Each different word is kept once, as a
`str` with one character per token, so that merging a pair is `str.partition`; each pair knows the words that
held it when it arose; a heap finds the most frequent pair, its entries corrected only when they come up.
Leaves out files that do not fit in memory. Built in chapter 2 (Sennrich, Haddow and Birch 2016).
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from byhand.bpe.words import count_words, split_specials, visible_characters

Ties = Literal["greatest", "tokenizers"]

# One character per byte, in the order in which the `tokenizers` library numbers its alphabet.
_BYTES = [byte for byte, _ in sorted(visible_characters().items(), key=lambda item: item[1])]
_TO_TOKENS = {byte: chr(number) for number, byte in enumerate(_BYTES)}


def train_bpe(
    text: str, vocab_size: int, specials: Sequence[str] = (), ties: Ties = "greatest"
) -> tuple[dict[int, bytes], list[tuple[bytes, bytes]]]:
    """Learn a byte-level BPE vocabulary from a text.

    The vocabulary is the 256 bytes (id = byte), then one token for each merge, then the special tokens.
    Training ends early when no word has two tokens left.

    Args:
        text: special tokens in it are cut out, counted nowhere and never merged.
        vocab_size: bytes, merges and special tokens together.
        specials: special tokens, such as `<|endoftext|>`.
        ties: which of two equally frequent pairs goes first: `greatest`, the one whose bytes sort last; or
            `tokenizers`, the one that the `tokenizers` library would take, the pair made earlier.

    Returns:
        The vocabulary, id to bytes, and the merges in the order they were learned.

    Raises:
        ValueError: when `vocab_size` has no room for the bytes and the special tokens.

    >>> vocab, merges = train_bpe("sea sea sea", 258)
    >>> merges
    [(b's', b'e'), (b'se', b'a')]
    """
    room = vocab_size - 256 - len(specials)
    if room < 0:
        raise ValueError(
            f"vocab_size is {vocab_size}, but 256 bytes and {len(specials)} special tokens need {vocab_size - room}"
        )
    if ties not in get_args(Ties):
        raise ValueError(f"ties is {ties!r}; choose one of {', '.join(get_args(Ties))}")
    words: Counter[str] = Counter()
    for part in split_specials(text, specials)[::2]:
        words.update(count_words(part))
    merges = _PairMerger(words, ties).run(room)
    vocab = {byte: bytes([byte]) for byte in range(256)}
    for left, right in merges:
        vocab[len(vocab)] = left + right
    for special in specials:
        vocab[len(vocab)] = special.encode("utf-8")
    return vocab, merges


class _PairMerger:
    """The words, their pairs, and the merges made so far. A pair is a `str` of two characters."""

    def __init__(self, words: Counter[str], ties: Ties) -> None:
        self.words = [word.encode("utf-8").decode("latin-1").translate(_TO_TOKENS) for word in words]
        self.counts = list(words.values())
        self.bytes_of = {character: bytes([byte]) for byte, character in _TO_TOKENS.items()}
        self.by_bytes = ties == "greatest"
        self.order = {character: _reversed_order(token) for character, token in self.bytes_of.items()}
        self.pair_counts: dict[str, int] = {}
        self.holders: dict[str, list[int]] = {}
        self.heap: list[tuple[int, str, str]] = []

    def run(self, room: int) -> list[tuple[bytes, bytes]]:
        """Make up to `room` merges, fewer when no pair is left.

        No two merges make the same token: merges that cross the border of a token are never undone, so bytes
        that end up as a token were split in the same way wherever they stood.
        """
        self._count_pairs()
        merges: list[tuple[bytes, bytes]] = []
        while len(merges) < room and (pair := self._most_frequent()):
            left, right = self.bytes_of[pair[0]], self.bytes_of[pair[1]]
            merges.append((left, right))
            made = chr(len(self.bytes_of))
            self.bytes_of[made] = left + right
            self.order[made] = _reversed_order(left + right)
            self._merge(pair, made)
        return merges

    def _count_pairs(self) -> None:
        counts: defaultdict[str, int] = defaultdict(int)
        holders: defaultdict[str, list[int]] = defaultdict(list)
        for index, word in enumerate(self.words):
            count = self.counts[index]
            for left, right in pairwise(word):
                pair = left + right
                counts[pair] += count
                holders[pair].append(index)
        self.pair_counts, self.holders = dict(counts), dict(holders)
        self.heap = [self._entry(pair) for pair in counts]
        heapq.heapify(self.heap)

    def _entry(self, pair: str) -> tuple[int, str, str]:
        key = self.order[pair[0]] + self.order[pair[1]] if self.by_bytes else pair
        return -self.pair_counts[pair], key, pair

    def _most_frequent(self) -> str | None:
        """Take the most frequent pair out of the heap.

        Counts in the heap are those of the time of the push. One that has sunk since goes back with its true
        count; one that has grown was pushed again when it grew.
        """
        while self.heap:
            count, key, pair = self.heap[0]
            true = self.pair_counts.get(pair, 0)
            if true == -count:
                heapq.heappop(self.heap)
                return pair
            if 0 < true < -count:
                heapq.heapreplace(self.heap, (-true, key, pair))
            else:
                heapq.heappop(self.heap)
        return None

    def _merge(self, pair: str, made: str) -> None:
        """Replace the pair by the token `made` in every word that holds it, and recount around it."""
        words, counts, pair_counts = self.words, self.counts, self.pair_counts
        before: defaultdict[str, list[int]] = defaultdict(list)  # left neighbour to the words where it stands
        after: defaultdict[str, list[int]] = defaultdict(list)
        several = []
        for index in self.holders.pop(pair):
            head, found, tail = words[index].partition(pair)
            if not found:
                continue
            if pair in tail:
                several.append(index)
                continue
            words[index] = head + made + tail
            if head:
                before[head[-1]].append(index)
            if tail:
                after[tail[0]].append(index)
        for left, holders in before.items():
            total = sum([counts[index] for index in holders])
            pair_counts[left + pair[0]] -= total
            self._add(left + made, total, holders)
        for right, holders in after.items():
            total = sum([counts[index] for index in holders])
            pair_counts[pair[1] + right] -= total
            self._add(made + right, total, holders)
        for index in several:
            self._merge_several(index, pair, made)
        pair_counts.pop(pair)

    def _add(self, pair: str, total: int, holders: list[int]) -> None:
        self.pair_counts[pair] = self.pair_counts.get(pair, 0) + total
        self.holders.setdefault(pair, []).extend(holders)
        heapq.heappush(self.heap, self._entry(pair))

    def _merge_several(self, index: int, pair: str, made: str) -> None:
        """The same for a word that holds the pair more than once: count all its pairs off and on again."""
        word, count = self.words[index], self.counts[index]
        if pair not in word:
            return
        merged = self.words[index] = word.replace(pair, made)
        for left, right in pairwise(word):
            self.pair_counts[left + right] -= count
        for left, right in pairwise(merged):
            if made in (left, right):
                self._add(left + right, count, [index])
            else:
                self.pair_counts[left + right] += count


def _reversed_order(token: bytes) -> str:
    """A string that sorts the other way round than the bytes do, also before a string that follows it."""
    return "".join([chr(255 - byte) for byte in token]) + "\u0100"
