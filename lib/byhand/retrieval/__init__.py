"""Retrieval-augmented generation: finding the passages that matter, and answering from them.

Passages (`chunking`, `passages`), embeddings (`encoding`), vector search (`index`, `inverted`), word search (`bm25`),
fusing and judging rankings (`ranking`), answers (`generation`). Leaves out training the retriever. Built in chapter 10.
"""

from byhand.retrieval.bm25 import BM25Index, bm25, split_words
from byhand.retrieval.chunking import chunk_text, split_sentences
from byhand.retrieval.encoding import SentenceEncoder, encode, unit_mean
from byhand.retrieval.generation import GroundedAnswer, answer_from_passages, answer_or_abstain, rag_prompt
from byhand.retrieval.index import DenseIndex
from byhand.retrieval.inverted import InvertedFileIndex
from byhand.retrieval.passages import PassageIndex, docstring_passages, topic_passages
from byhand.retrieval.ranking import retrieval_metrics, rrf

__all__ = [
    "BM25Index",
    "DenseIndex",
    "GroundedAnswer",
    "InvertedFileIndex",
    "PassageIndex",
    "SentenceEncoder",
    "answer_from_passages",
    "answer_or_abstain",
    "bm25",
    "chunk_text",
    "docstring_passages",
    "encode",
    "rag_prompt",
    "retrieval_metrics",
    "rrf",
    "split_sentences",
    "split_words",
    "topic_passages",
    "unit_mean",
]
