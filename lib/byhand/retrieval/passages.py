"""Python's documentation as passages, and one index that searches them by meaning, by words, or by both.

Holds the passages of the two corpora and the hybrid index. Leaves out answering (`byhand.retrieval.generation`). Built
in chapter 10.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from byhand.corpora.docstrings import docstrings
from byhand.corpora.python_docs import topics
from byhand.retrieval.bm25 import BM25Index, split_words
from byhand.retrieval.chunking import chunk_text
from byhand.retrieval.index import DenseIndex
from byhand.retrieval.ranking import rrf

if TYPE_CHECKING:
    from tokenizers import Tokenizer

METHODS = ("dense", "bm25", "fused")
"""By embedding, by words, and both, fused by their ranks."""


def docstring_passages(package: str | None = None) -> dict[str, str]:
    """The docstrings of the standard library, dotted name to text; of one package, or of all.

    Of several docstrings under one name (a property and its setter, say) the first is kept.

    >>> "JSON" in docstring_passages("json")["json.loads"]
    True
    """
    found: dict[str, str] = {}
    for entry in docstrings():
        if package in (None, entry.package):
            found.setdefault(entry.name, entry.text)
    return found


def topic_passages(tokenizer: "Tokenizer", size: int = 200, overlap: int = 40) -> dict[str, str]:
    """The topics of the language reference in windows of `size` tokens, `topic:number` to text.

    Raises:
        ValueError: as `chunk_text`.
    """
    return {
        f"{name}:{number}": tokenizer.decode(chunk)
        for name, text in topics().items()
        for number, chunk in enumerate(chunk_text(tokenizer.encode(text, add_special_tokens=False).ids, size, overlap))
    }


class PassageIndex:
    """Passages searched by embedding, by BM25, or by both, fused.

    Args:
        passages: id to text.
        embed: sentence embeddings of many texts at once, such as a `SentenceEncoder`.
        dense: the index of these passages' embeddings where it was built before; it is not checked against the
            texts, only against the ids.

    Raises:
        ValueError: when `dense` has other ids than the passages.

    >>> import torch
    >>> embed = lambda texts: torch.tensor([[text.count("o"), text.count("a"), 0.1] for text in texts])
    >>> index = PassageIndex({"x": "a dog, a cow", "y": "a cat and a bat"}, embed)
    >>> index.search("bat?", k=1, method="bm25")[0][0], index.search("a hat", k=1)[0][0]
    ('y', 'y')
    """

    def __init__(
        self,
        passages: Mapping[str, str],
        embed: Callable[[list[str]], Float[Tensor, "n d"]],
        dense: DenseIndex[str] | None = None,
    ) -> None:
        self.passages = dict(passages)
        self.embed = embed
        if dense is None:
            dense = DenseIndex()
            dense.add(list(self.passages), embed(list(self.passages.values())))
        elif set(dense.ids) != set(self.passages):
            raise ValueError("the index was built from other passages: build it again by leaving out `dense`")
        self.dense = dense
        self._lexical = BM25Index(list(self.passages), [split_words(text) for text in self.passages.values()])

    def search(self, question: str, k: int, method: str = "dense") -> list[tuple[str, float]]:
        """The k best passages as (id, score), best first: a cosine, a BM25 score, or a fused score.

        Raises:
            ValueError: when there is no such method or `k` is below 1.
        """
        return self.search_many([question], k, method)[0]

    def search_many(self, questions: Sequence[str], k: int, method: str = "dense") -> list[list[tuple[str, float]]]:
        """`search` for each question, embedded together.

        Raises:
            ValueError: as `search`.
        """
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; choose one of {', '.join(METHODS)}")
        deep = k if method != "fused" else max(k, 50)  # a fused rank needs more than the k that are shown
        lexical = [self._lexical.search(split_words(question), deep) for question in questions]
        if method == "bm25":
            return lexical
        dense = self.dense.search_many(self.embed(list(questions)), deep)
        if method == "dense":
            return dense
        return [
            rrf([[name for name, _ in first], [name for name, _ in second]])[:k]
            for first, second in zip(dense, lexical, strict=True)
        ]
