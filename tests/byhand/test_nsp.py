"""Next-sentence pairs: half true, strangers from elsewhere, and the layout."""

import random

import pytest
from byhand.objectives import nsp_pairs
from scipy.stats import binomtest, chisquare

CLS, SEP = 1, 2


def documents(sizes, lengths=(1, 2, 5, 9)):
    """Every token says where it is from: 1000 * document + 10 * sentence + (0 ... 9)."""
    rng = random.Random(0)
    return [
        [[1000 * doc + 10 * place + n for n in range(rng.choice(lengths))] for place in range(size)]
        for doc, size in enumerate(sizes, start=1)
    ]


def pairs(docs, max_len=64, seed=0):
    return nsp_pairs(docs, max_len, random.Random(seed), cls_id=CLS, sep_id=SEP)


def parts(ids):
    """The two sentences of a pair."""
    first = ids.index(SEP)
    return ids[1:first], ids[first + 1 : -1]


def source(sentence):
    return sentence[0] // 1000, sentence[0] % 1000 // 10


def test_the_layout_is_cls_a_sep_b_sep_with_the_first_sep_in_segment_0():
    for ids, segments, _ in pairs(documents([4, 3, 1])):
        first, second = parts(ids)
        assert ids == [CLS, *first, SEP, *second, SEP]
        assert segments == [0] * (len(first) + 2) + [1] * (len(second) + 1)


def test_every_sentence_but_a_documents_last_comes_first_once():
    made = pairs(documents([4, 1, 3]))
    assert [source(parts(ids)[0]) for ids, _, _ in made] == [(1, 0), (1, 1), (1, 2), (3, 0), (3, 1)]


def test_a_true_pair_is_the_successor_and_a_stranger_is_from_another_document():
    # short documents: drawing from all of them would hit the true successor or a neighbour very often
    docs = documents([2, 3, 2])
    for seed in range(300):
        for ids, _, is_next in pairs(docs, seed=seed):
            (doc, place), (other, stranger) = (source(part) for part in parts(ids))
            if is_next:
                assert (other, stranger) == (doc, place + 1)
            else:
                assert other != doc


def test_half_of_the_pairs_are_true():
    answers = [is_next for _, _, is_next in pairs(documents([100] * 99, lengths=(1,)))]
    assert binomtest(sum(answers), len(answers), 0.5).pvalue > 1e-6


def test_every_other_document_and_its_sentences_are_drawn_evenly():
    docs = documents([5, 2, 4, 3], lengths=(1,))
    strangers = [
        source(parts(ids)[1])
        for seed in range(1500)
        for ids, _, is_next in pairs(docs, seed=seed)
        if not is_next and source(parts(ids)[0])[0] == 1
    ]
    for doc, size in ((2, 2), (3, 4), (4, 3)):
        places = [place for other, place in strangers if other == doc]
        assert chisquare([places.count(place) for place in range(size)]).pvalue > 1e-6
    assert chisquare([sum(other == doc for other, _ in strangers) for doc in (2, 3, 4)]).pvalue > 1e-6


@pytest.mark.parametrize(
    ("first", "second", "max_len", "kept"),
    [
        (9, 3, 11, (5, 3)),
        (3, 9, 11, (3, 5)),
        (6, 6, 10, (4, 3)),
        (9, 1, 5, (1, 1)),
        (4, 5, 12, (4, 5)),
        (7, 2, 11, (6, 2)),
    ],
)
def test_a_pair_that_is_too_long_loses_the_end_of_its_longer_sentence(first, second, max_len, kept):
    docs = [[list(range(10, 10 + first)), list(range(30, 30 + second))], [list(range(30, 30 + second))]]
    for seed in range(4):
        ids, segments, _ = pairs(docs, max_len, seed)[0]
        assert parts(ids) == (docs[0][0][: kept[0]], docs[0][1][: kept[1]])
        assert ids.count(SEP) == 2
        assert ids[-1] == SEP
        assert len(ids) == len(segments) == sum(kept) + 3


def test_documents_are_left_alone_and_the_seed_decides():
    docs, same = documents([4, 3, 5]), documents([4, 3, 5])
    assert pairs(docs, 8, seed=1) == pairs(docs, 8, seed=1) != pairs(docs, 8, seed=2)
    assert docs == same


def test_empty_documents_are_no_strangers():
    assert len(pairs([[], *documents([3, 1]), []])) == 2


def test_bad_documents_are_refused():
    with pytest.raises(ValueError, match="strangers come from another document, but 1 of 3 hold a sentence"):
        pairs([[], *documents([5]), []])
    with pytest.raises(ValueError, match="0 of 0"):
        pairs([])
    with pytest.raises(ValueError, match="sentence 1 of document 1 is empty; leave it out"):
        pairs([[[5]], [[6], [], [7]]])
    with pytest.raises(ValueError, match=r"max_len must be at least 5, room for \[CLS\] a \[SEP\] b \[SEP\], got 4"):
        pairs(documents([2, 2]), 4)
