"""N-gram language models: counting what followed the last n - 1 tokens, and three ways to smooth the counts.

Holds the counts as sorted arrays (all orders at once, each n-gram linked to its context and its suffix) and a
model with add-k, Witten-Bell or interpolated modified Kneser-Ney smoothing. Leaves out pruning and stores
that do not fit in memory (KenLM does both). Built in chapter 1.

No padding is added. A context shorter than n - 1 tokens, as at the start of a stream, is answered from the
counts of n-grams that are just so much shorter; of a longer one the last n - 1 tokens are used. Put a token
for "begin" into the stream where a beginning should be predicted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, SupportsIndex, get_args

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

Smoothing = Literal["addk", "witten_bell", "kneser_ney"]
Ids = Sequence[SupportsIndex] | Int[ndarray, " seq"]
NONE = -1
"""In place of the number of an n-gram that was never seen; as an index it means the last entry."""


@dataclass(frozen=True)
class Level:
    """All n-grams of one length, numbered in the order of their keys.

    Attributes:
        keys: (number of the context) * vocab_size + token, ascending: what follows a context is a slice.
        backoff: for each context, the weight given to the shorter context's probabilities; then 1, for NONE.
        discounted: for each n-gram, its part of the probability besides; then 0, for NONE.
    """

    keys: Int[ndarray, " ngrams"]
    backoff: Float[ndarray, " contexts"]
    discounted: Float[ndarray, " ngrams+1"]


class NGramLM:
    """An n-gram model over token ids 0 ... vocab_size - 1.

    Args:
        n: the longest n-gram counted; 1 ignores the context.
        vocab_size: number of tokens.
        k: what add-k adds to every count; the other smoothings have no use for it.
        smoothing: how probability reaches what was not seen.

            - `addk`: (count + k) / (total + k * vocab_size). With k = 0 a context never seen has no counts to
              divide, so every token gets 1 / vocab_size.
            - `witten_bell`: (count + kinds * shorter) / (total + kinds), where `kinds` is how many different
              tokens followed and `shorter` the probability after one token less (Witten and Bell 1991,
              method C). Below the unigram stands 1 / vocab_size.
            - `kneser_ney`: interpolated, with three discounts an order estimated from the counts of counts;
              lower orders count different left neighbours (Chen and Goodman 1999, section 3). Below the
              unigram stands 1 / vocab_size.

    Raises:
        ValueError: when an argument is out of its range.

    >>> model = NGramLM(2, vocab_size=3, k=1.0).fit([0, 1, 0, 2, 0, 1])
    >>> model.probs([0]).round(3).tolist()
    [0.167, 0.5, 0.333]
    >>> NGramLM(2, 3, smoothing="witten_bell").fit([0, 1, 0, 2]).probs([1]).round(3).tolist()
    [0.714, 0.143, 0.143]
    """

    def __init__(self, n: int, vocab_size: int, k: float = 0.0, smoothing: Smoothing = "addk") -> None:
        if n < 1 or vocab_size < 1 or k < 0:
            raise ValueError(f"need n >= 1, vocab_size >= 1 and k >= 0, got n={n}, vocab_size={vocab_size}, k={k}")
        if smoothing not in get_args(Smoothing):
            raise ValueError(f"smoothing is {smoothing!r}; choose one of {', '.join(get_args(Smoothing))}")
        self.n = n
        self.vocab_size = vocab_size
        self.k = k
        self.smoothing = smoothing
        self._levels: list[Level] = []

    def fit(self, ids: Ids) -> "NGramLM":
        """Count the n-grams of a stream, replacing what was counted before, and return the model itself.

        Raises:
            ValueError: when an id is not between 0 and vocab_size - 1.
        """
        tokens = self._as_tokens(ids)
        keys, counts, suffixes = _count(tokens, self.n, self.vocab_size)
        if self.smoothing == "kneser_ney":
            # A lower order asks "after how many different tokens", so it counts kinds of left neighbour.
            for level, longer in enumerate(suffixes[1:]):
                counts[level] = np.bincount(longer, minlength=len(keys[level]))
        contexts = [1, *map(len, keys)]
        self._levels = [self._smooth(keys[level], counts[level], contexts[level]) for level in range(self.n)]
        return self

    def probs(self, context: Ids) -> Float[ndarray, " vocab"]:
        """The distribution of the token after `context`; it sums to 1 for any context.

        Raises:
            ValueError: when an id is not between 0 and vocab_size - 1, or the model was not fitted.
        """
        tokens = self._as_tokens(context)
        self._require_fit()
        tokens = tokens[max(0, len(tokens) - self.n + 1) :]
        if self.smoothing == "addk":
            return self._after(self._find(tokens), len(tokens), None)
        found = np.full(self.vocab_size, 1 / self.vocab_size)
        for length in range(len(tokens) + 1):
            found = self._after(self._find(tokens[len(tokens) - length :]), length, found)
        return found

    def log_probs(self, ids: Ids) -> Float[ndarray, " seq"]:
        """For each token of a stream, its log-probability given those before it, in nats; all at once.

        The same numbers as `log(probs(ids[:t])[ids[t]])` for every t; minus infinity where that is zero.

        Raises:
            ValueError: when an id is not between 0 and vocab_size - 1, or the model was not fitted.
        """
        tokens = self._as_tokens(ids)
        self._require_fit()
        found = np.full(len(tokens), 1 / self.vocab_size)
        contexts = np.zeros(len(tokens), dtype=np.int64)  # numbers of the empty context
        for length, level in enumerate(self._levels):
            keys = np.where(contexts == NONE, NONE, contexts * self.vocab_size + tokens)
            grams = _look_up(level.keys, keys)
            shorter = 1 / self.vocab_size if self.smoothing == "addk" else found
            # The first `length` tokens have no context so long and keep what the shorter one gave.
            found[length:] = (level.discounted[grams] + level.backoff[contexts] * shorter)[length:]
            contexts = np.concatenate([[NONE], grams[:-1]])
        with np.errstate(divide="ignore"):
            logs: Float[ndarray, " seq"] = np.log(found)
        return logs

    def nll(self, ids: Ids) -> float:
        """The negative log-probability of a whole stream, in nats: the sum over its tokens."""
        return float(-self.log_probs(ids).sum())

    def _as_tokens(self, ids: Ids) -> Int[ndarray, " seq"]:
        tokens = np.asarray(ids, dtype=np.int64).reshape(-1)
        if tokens.size and not (tokens.min() >= 0 and tokens.max() < self.vocab_size):
            raise ValueError(
                f"ids run from {tokens.min()} to {tokens.max()}, but the model was made for 0 to {self.vocab_size - 1}"
            )
        return tokens

    def _require_fit(self) -> None:
        if not self._levels:
            raise ValueError("the model has counted nothing: call fit(ids) first")

    def _find(self, tokens: Int[ndarray, " seq"]) -> int:
        """The number of an n-gram, 0 for the empty one, NONE for one that was never seen."""
        number = 0
        for level, token in zip(self._levels, tokens, strict=False):
            key = number * self.vocab_size + token
            number = int(_look_up(level.keys, np.array([key]))[0])
            if number == NONE:
                break
        return number

    def _after(self, context: int, length: int, shorter: Float[ndarray, " vocab"] | None) -> Float[ndarray, " vocab"]:
        base = np.full(self.vocab_size, 1 / self.vocab_size) if shorter is None else shorter
        if context == NONE:
            return base
        level = self._levels[length]
        edges = np.array([context, context + 1]) * self.vocab_size
        first, last = np.searchsorted(level.keys, edges)
        found: Float[ndarray, " vocab"] = level.backoff[context] * base
        found[level.keys[first:last] % self.vocab_size] += level.discounted[first:last]
        return found

    def _smooth(self, keys: Int[ndarray, " ngrams"], counts: Int[ndarray, " ngrams"], contexts: int) -> Level:
        """The two shares of every probability: `discounted` for what was seen, `backoff` for all the rest."""
        owner = keys // self.vocab_size
        taken = np.zeros(len(counts))
        if self.smoothing == "addk":
            given = np.full(contexts, self.k * self.vocab_size)
        elif self.smoothing == "witten_bell":
            given = np.bincount(owner, minlength=contexts).astype(np.float64)  # different tokens that followed
        else:
            taken = _discounts(counts)[np.minimum(counts, 3)]
            given = np.bincount(owner, taken, minlength=contexts)
        kept = counts - taken
        whole = np.bincount(owner, kept, minlength=contexts) + given
        divisor = np.where(whole > 0, whole, 1.0)
        backoff = np.where(whole > 0, given / divisor, 1.0)  # 1 where nothing followed
        return Level(keys, np.append(backoff, 1.0), np.append(kept / divisor[owner], 0.0))


def _count(tokens: Int[ndarray, " seq"], n: int, vocab_size: int) -> tuple[list[ndarray], list[ndarray], list[ndarray]]:
    """For each length: the keys of the n-grams, how often each occurs, and the number of its suffix."""
    keys, counts, suffixes = [], [], []
    ending = np.zeros(len(tokens), dtype=np.int64)  # the number of the (length - 1)-gram ending before each token
    shorter = np.zeros(len(tokens), dtype=np.int64)  # and the one that ends at it
    for _ in range(n):
        level_keys, numbers, level_counts = np.unique(
            ending * vocab_size + tokens, return_inverse=True, return_counts=True
        )
        suffix = np.zeros(len(level_keys), dtype=np.int64)
        suffix[numbers] = shorter
        keys.append(level_keys)
        counts.append(level_counts)
        suffixes.append(suffix)
        ending, shorter, tokens = numbers[:-1], numbers[1:], tokens[1:]
    return keys, counts, suffixes


def _look_up(keys: Int[ndarray, " ngrams"], wanted: Int[ndarray, " seq"]) -> Int[ndarray, " seq"]:
    """The place of each wanted key among the sorted keys, or NONE."""
    if not len(keys):
        return np.full(len(wanted), NONE)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, NONE)


def _discounts(counts: Int[ndarray, " ngrams"]) -> Float[ndarray, "4"]:
    """Kneser-Ney's discounts for counts 0, 1, 2 and 3 or more (Chen and Goodman 1999, equation 26).

    Estimated from how many n-grams occur once, twice, three and four times. In tiny or very regular texts an
    estimate may be missing or not above zero, and nothing would be left for what was not seen: half of each
    count is taken then, as KenLM's fallback does.

    >>> _discounts(np.array([1] * 10 + [2] * 4 + [3] * 2 + [4])).round(3).tolist()
    [0.0, 0.556, 1.167, 1.889]
    >>> _discounts(np.array([4, 4, 7])).tolist()
    [0.0, 0.5, 1.0, 1.5]
    """
    once, twice, thrice, four = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    taken = [0.0]
    for times, (here, later) in enumerate([(once, twice), (twice, thrice), (thrice, four)], start=1):
        estimate = times - (times + 1) * once / (once + 2 * twice) * later / here if once and here else 0.0
        taken.append(estimate if estimate > 0 else times / 2)
    return np.array(taken)
