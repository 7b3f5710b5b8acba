"""BM25: a value worked out by hand, and how scores move with counts, lengths and rarity."""

import math

import pytest
import torch
from byhand.retrieval import BM25Index, bm25, split_words

DOCS = [["the", "cat", "sat"], ["the", "dog", "sat", "on", "the", "dog", "bed"], [], ["the"]]


def test_a_score_is_the_one_worked_out_by_hand():
    mean = (3 + 7 + 0 + 1) / 4
    idf_dog = math.log(1 + (4 - 1 + 0.5) / (1 + 0.5))
    idf_the = math.log(1 + (4 - 3 + 0.5) / (3 + 0.5))
    norm = 1.2 * (1 - 0.75 + 0.75 * 7 / mean)
    expected = (idf_dog + idf_the) * 2 * 2.2 / (2 + norm)
    scores = bm25(["dog", "the"], DOCS)
    assert scores.dtype == torch.float64
    assert math.isclose(scores[1].item(), expected, rel_tol=1e-12)
    assert scores[2] == 0


def test_a_term_that_no_document_holds_changes_nothing():
    assert torch.equal(bm25(["cat", "unheard"], DOCS), bm25(["cat"], DOCS))
    assert bm25(["unheard"], DOCS).tolist() == [0, 0, 0, 0]
    assert bm25([], DOCS).tolist() == [0, 0, 0, 0]


def test_even_a_word_that_every_document_holds_never_counts_against_one():
    assert (bm25(["a"], [["a"], ["a", "b"], ["a"]]) > 0).all()


def test_a_rarer_word_weighs_more():
    scores = bm25(["rare", "usual"], [["rare"], ["usual"], ["usual"], ["usual"]])
    assert scores[0] > scores[1]


def test_more_occurrences_help_less_and_less():
    docs = [["x"] * count + ["y"] * (10 - count) for count in range(6)]
    gains = bm25(["x"], docs).diff()
    assert (gains > 0).all()
    assert (gains.diff() < 0).all()
    assert bm25(["x"], docs).max() < 2.2 * math.log(1 + (6 - 5 + 0.5) / (5 + 0.5)), "the limit is k1 + 1 times idf"


def test_of_equal_counts_the_shorter_document_wins_unless_length_is_switched_off():
    docs = [["x"] + ["y"] * more for more in range(5)]
    assert (bm25(["x"], docs).diff() < 0).all()
    assert torch.equal(bm25(["x"], docs, b=0), bm25(["x"], docs, b=0)[:1].expand(5))


def test_without_k1_only_presence_counts():
    scores = bm25(["x"], [["x"] * 9, ["x", "y"], ["y"]], k1=0)
    assert scores[0] == scores[1] > scores[2] == 0


def test_a_word_that_the_query_repeats_counts_again():
    torch.testing.assert_close(bm25(["cat", "cat"], DOCS), 2 * bm25(["cat"], DOCS))


def test_no_documents_and_only_empty_ones_are_no_error():
    assert bm25(["x"], []).tolist() == []
    assert bm25(["x"], [[], []]).tolist() == [0, 0]


def test_a_search_is_sorted_with_ties_by_id_and_holds_matches_only():
    index = BM25Index([30, 10, 20, 40], [["x"], ["x"], ["x", "x"], ["y"]])
    assert [name for name, _ in index.search(["x"], k=9)] == [20, 10, 30]
    assert [name for name, _ in index.search(["x"], k=2)] == [20, 10]
    torch.testing.assert_close(index.scores(["x", "y"]), bm25(["x", "y"], [["x"], ["x"], ["x", "x"], ["y"]]))


@pytest.mark.parametrize("changed", [{"k1": -0.1}, {"b": 1.1}, {"b": -0.1}, {"k1": math.nan}])
def test_settings_out_of_range_are_named(changed):
    with pytest.raises(ValueError, match="need k1 >= 0 and b between 0 and 1, got"):
        bm25(["x"], DOCS, **changed)


def test_ids_must_be_as_many_as_documents():
    with pytest.raises(ValueError, match="2 ids for 1 documents"):
        BM25Index([1, 2], [["x"]])


def test_words_of_a_name_count_apart_and_together():
    assert split_words("__init__.py, PATH and read_text()") == [
        "__init__",
        "py",
        "path",
        "and",
        "read_text",
        "read",
        "text",
    ]
