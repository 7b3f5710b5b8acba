"""BM25: ranking documents by the words they share with a query, the baseline that every dense retriever must beat.

Holds the scores and an index that scores many queries fast. Leaves out stemming and stop words. Built in chapter 10.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Generic

import torch
from jaxtyping import Float
from torch import Tensor

from byhand.retrieval.index import Id


def bm25(
    query: Sequence[str], docs: Sequence[Sequence[str]], k1: float = 1.2, b: float = 0.75
) -> Float[Tensor, " docs"]:
    """The BM25 score of each document for a query: words in common, weighted by how rare they are.

    A word in n of N documents weighs ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative. Its count f in a
    document enters as f (k1 + 1) / (f + k1 (1 - b + b length / mean length)): more occurrences help less and
    less, and a long document needs more of them. A word that the query has twice counts twice. Robertson and
    Zaragoza 2009, section 3; the weight is Lucene's.

    Args:
        query: words.
        docs: words of each document; a document may be empty.
        k1: how soon further occurrences stop helping; 0 counts presence only.
        b: how much length counts, 0 to 1.

    Returns:
        Double-precision scores; 0 where no word is shared.

    Raises:
        ValueError: when `k1` is negative or `b` is not between 0 and 1.

    >>> docs = [["the", "cat", "sat"], ["the", "dog", "sat", "down"], ["cat", "cat"]]
    >>> bm25(["cat", "flew"], docs).round(decimals=3).tolist()
    [0.47, 0.0, 0.713]
    """
    index: BM25Index[int] = BM25Index(range(len(docs)), docs, k1, b)
    return index.scores(query)


class BM25Index(Generic[Id]):
    """Documents prepared for many BM25 queries: for each word the documents that hold it, with its weight there.

    Args:
        ids: one for each document; all numbers or all strings.
        docs: the words of each document.
        k1: as in `bm25`.
        b: as in `bm25`.

    Raises:
        ValueError: when `k1` or `b` is out of its range, or ids and documents differ in number.

    >>> BM25Index(["a", "b"], [["cat"], ["dog"]]).search(["dog"], k=5)
    [('b', 0.6931471805599453)]
    """

    def __init__(self, ids: Sequence[Id], docs: Sequence[Sequence[str]], k1: float = 1.2, b: float = 0.75) -> None:
        if not k1 >= 0 or not 0 <= b <= 1:
            raise ValueError(f"need k1 >= 0 and b between 0 and 1, got k1={k1}, b={b}")
        if len(ids) != len(docs):
            raise ValueError(f"{len(ids)} ids for {len(docs)} documents: give one id for each")
        self.ids: list[Id] = list(ids)
        mean_length = max(sum(map(len, docs)), 1) / max(len(docs), 1)
        places: defaultdict[str, list[int]] = defaultdict(list)
        weights: defaultdict[str, list[float]] = defaultdict(list)
        for place, doc in enumerate(docs):
            norm = k1 * (1 - b + b * len(doc) / mean_length)
            for word, count in Counter(doc).items():
                places[word].append(place)
                weights[word].append(count * (k1 + 1) / (count + norm))
        self._postings = {}
        for word, where in places.items():
            idf = math.log(1 + (len(docs) - len(where) + 0.5) / (len(where) + 0.5))
            self._postings[word] = torch.tensor(where), idf * torch.tensor(weights[word], dtype=torch.float64)

    def scores(self, query: Sequence[str]) -> Float[Tensor, " docs"]:
        """The score of each document, in the order in which they were given."""
        scores = torch.zeros(len(self.ids), dtype=torch.float64)
        for word in query:
            if word in self._postings:
                places, weights = self._postings[word]
                scores[places] += weights
        return scores

    def search(self, query: Sequence[str], k: int) -> list[tuple[Id, float]]:
        """The best k documents that share a word with the query, as (id, score), best first, ties by id."""
        scores = self.scores(query).tolist()
        found = [(id, score) for id, score in zip(self.ids, scores, strict=True) if score > 0]
        return sorted(found, key=lambda entry: (-entry[1], entry[0]))[:k]


def split_words(text: str) -> list[str]:
    """The words of a text for BM25: runs of letters, digits and underscores, in lower case, and the parts of a name.

    >>> split_words("Path.read_text() opens a file")
    ['path', 'read_text', 'read', 'text', 'opens', 'a', 'file']
    """
    words = []
    for word in re.findall(r"\w+", text.lower()):
        words.append(word)
        parts = [part for part in word.split("_") if part]
        words += parts if len(parts) > 1 else []
    return words
