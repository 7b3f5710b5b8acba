"""Passages, fused rankings and their measures: what is covered, what counts, and where ranks begin."""

import math
from itertools import pairwise

import pytest
import torch
from byhand.corpora.docstrings import docstrings
from byhand.corpora.python_docs import topics
from byhand.corpora.tokenizer import load_tokenizer
from byhand.retrieval import (
    DenseIndex,
    PassageIndex,
    chunk_text,
    docstring_passages,
    retrieval_metrics,
    rrf,
    split_sentences,
    topic_passages,
)
from hypothesis import given, settings
from hypothesis import strategies as st


@given(n=st.integers(0, 40), size=st.integers(1, 12), overlap=st.integers(0, 11))
@settings(deadline=None)
def test_chunks_cover_every_token_and_overlap_by_exactly_what_was_asked(n, size, overlap):
    overlap %= size
    ids = list(range(n))
    chunks = chunk_text(ids, size, overlap)
    assert [i for number, chunk in enumerate(chunks) for i in chunk[overlap if number else 0 :]] == ids
    for before, after in pairwise(chunks):
        assert len(before) == size
        assert before[len(before) - overlap :] == after[:overlap]
        assert len(after) > overlap, "each window brings something new"
    assert all(0 < len(chunk) <= size for chunk in chunks)


@pytest.mark.parametrize(("size", "overlap"), [(3, 3), (3, 4), (0, 0), (2, -1)])
def test_windows_that_would_not_advance_are_named(size, overlap):
    with pytest.raises(ValueError, match=f"0 <= overlap < size, got size={size}, overlap={overlap}"):
        chunk_text([1, 2, 3], size, overlap)


def test_sentences_lose_no_word_and_keep_names_together():
    text = "See io.open. It opens\na file (e.g. a log).\n\nNo stop here\n  * One\n  * Two: Three"
    assert split_sentences(text) == [
        "See io.open.",
        "It opens a file (e.g. a log).",
        "No stop here",
        "* One",
        "* Two:",
        "Three",
    ]
    for topic in topics().values():
        assert " ".join(split_sentences(topic)).split() == topic.split()


def test_fusion_counts_ranks_from_one():
    assert rrf([["a", "b"]], k=60) == [("a", 1 / 61), ("b", 1 / 62)]
    assert rrf([["a"]], k=0) == [("a", 1.0)]


def test_fusion_adds_over_rankings_and_a_missing_id_gets_nothing():
    fused = dict(rrf([["a", "b", "c"], ["c", "a"], []], k=10))
    assert math.isclose(fused["a"], 1 / 11 + 1 / 12)
    assert math.isclose(fused["c"], 1 / 13 + 1 / 11)
    assert math.isclose(fused["b"], 1 / 12)


def test_two_places_beat_one_first_place():
    assert rrf([["x", "b"], ["y", "b"], ["z"]])[0][0] == "b"


def test_fusion_orders_ties_by_id():
    assert [name for name, _ in rrf([[9, 2], [10, 3]])] == [9, 10, 2, 3]
    assert rrf([]) == []


@pytest.mark.parametrize(
    ("rankings", "k", "words"), [([["a", "b", "a"]], 60, "'a' twice"), ([["a"]], -1, "k must be 0")]
)
def test_rankings_that_cannot_be_fused_are_named(rankings, k, words):
    with pytest.raises(ValueError, match=words):
        rrf(rankings, k)


def test_metrics_by_hand():
    found = retrieval_metrics(["x", "a", "y", "b", "c"], {"a", "b", "c", "d"}, k=4)
    assert found["recall"] == 2 / 4
    assert found["mrr"] == 1 / 2
    ideal = 1 + 1 / math.log2(3) + 1 / 2 + 1 / math.log2(5)
    assert math.isclose(found["ndcg"], (1 / math.log2(3) + 1 / math.log2(5)) / ideal)


def test_the_ideal_order_has_no_more_places_than_k_or_relevant_ones():
    assert retrieval_metrics(["a", "b"], {"a", "b", "c"}, k=2) == {"recall": 2 / 3, "mrr": 1.0, "ndcg": 1.0}
    assert retrieval_metrics(["a", "x", "y"], {"a"}, k=3) == {"recall": 1.0, "mrr": 1.0, "ndcg": 1.0}


@pytest.mark.parametrize(("ranked", "relevant"), [(["x", "y", "a"], {"a"}), ([], {"a"}), (["a"], set()), ([], [])])
def test_nothing_found_or_nothing_relevant_scores_zero(ranked, relevant):
    assert retrieval_metrics(ranked, relevant, k=2) == {"recall": 0.0, "mrr": 0.0, "ndcg": 0.0}


def test_metrics_refuse_what_has_no_meaning():
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        retrieval_metrics(["a"], {"a"}, k=0)
    with pytest.raises(ValueError, match="holds 'a' twice"):
        retrieval_metrics(["a", "a"], {"a"}, k=2)


@given(st.permutations(range(8)), st.sets(st.integers(0, 9), min_size=1), st.integers(1, 9))
@settings(deadline=None)
def test_metrics_stay_between_zero_and_one_and_grow_with_k_but_for_ndcg(ranked, relevant, k):
    found = retrieval_metrics(ranked, relevant, k)
    more = retrieval_metrics(ranked, relevant, k + 1)
    assert all(0 <= value <= 1 + 1e-12 for value in found.values())
    assert found["recall"] <= more["recall"]
    assert found["mrr"] <= more["mrr"]


def test_docstring_passages_are_the_corpus_under_its_names():
    passages = docstring_passages("json")
    assert {"json.load", "json.dumps"} <= passages.keys()
    assert set(passages.values()) <= {entry.text for entry in docstrings() if entry.package == "json"}
    assert len(docstring_passages()) > 4_000


def test_topic_passages_cover_the_topics():
    tokenizer = load_tokenizer()
    passages = topic_passages(tokenizer, size=200, overlap=40)
    assert all(len(tokenizer.encode(text).ids) <= 210 for text in passages.values())
    assert "while:0" in passages
    assert "".join(passages["while:0"].split()).startswith('The"while"statement')


PASSAGES = {"cat": "a cat sat on the mat", "dog": "a dog barked at the moon", "sea": "waves of the sea"}


def embed(texts):
    """Counts of letters: crude, but a dense vector."""
    return torch.tensor([[text.count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])


@pytest.mark.parametrize("method", ["dense", "bm25", "fused"])
def test_passages_are_found_by_every_method_one_by_one_or_together(method):
    index = PassageIndex(PASSAGES, embed)
    questions = ["a cat on a mat", "the sea waves", "barked"]
    found = index.search_many(questions, 2, method)
    assert [hits[0][0] for hits in found] == ["cat", "sea", "dog"]
    assert found == [index.search(question, 2, method) for question in questions]
    assert all(len(hits) <= 2 for hits in found)


def test_fused_ranks_reach_deeper_than_the_hits_that_are_shown():
    texts = {"b": "moon red cat dog", "p": "rain", "q": "snow", "x": "red", "y": "moon moon moon"}
    angles = {"moon": 0.0, "red": 0.0, "moon red cat dog": 0.1, "rain": 0.2, "snow": 0.3, "moon moon moon": 1.5}

    def embed(texts):
        return torch.tensor([[math.cos(angles[text]), math.sin(angles[text])] for text in texts])

    index = PassageIndex(texts, embed)
    assert [index.search("moon", 1, method)[0][0] for method in ("dense", "bm25", "fused")] == ["x", "y", "b"]


def test_an_index_built_before_is_used_and_one_of_other_passages_refused():
    dense = DenseIndex()
    dense.add(["dog", "sea", "cat"], embed([PASSAGES[name] for name in ("dog", "sea", "cat")]))
    calls = []
    index = PassageIndex(PASSAGES, lambda texts: calls.append(texts) or embed(texts), dense)
    assert calls == []
    assert index.search("a cat sat on the mat", 1) == PassageIndex(PASSAGES, embed).search("a cat sat on the mat", 1)
    with pytest.raises(ValueError, match="built from other passages: build it again"):
        PassageIndex({"cat": "x"}, embed, dense)


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match="method is 'best'; choose one of dense, bm25, fused"):
        PassageIndex(PASSAGES, embed).search_many(["?"], 1, method="best")
