"""Cloze ranking: the whole text counts, on both sides of the gap, and nothing else does."""

import itertools

import pytest
import torch
from byhand.gpt import GPT, GPTConfig
from byhand.probing import cloze_rank, cloze_scores

MODEL = GPT(GPTConfig(vocab_size=31, max_seq=12, d_model=16, n_layers=2, n_heads=2), torch.Generator().manual_seed(2))
with torch.no_grad():
    for weight in MODEL.parameters():
        weight.mul_(4)  # far from uniform, so that wrong sums rank differently


def score(left, candidate, right):
    text = [*left, *candidate, *right]
    total = 0.0
    for place in range(len(left), len(text)):
        with torch.no_grad():
            logits = MODEL.eval()(torch.tensor([text[:place]]))[0, -1]
        total += logits.double().log_softmax(-1)[text[place]].item()
    return total


CANDIDATES = [[4], [5, 6, 7], [8, 9], [4, 4], [10]]


@pytest.mark.parametrize("right", [[], [3], [11, 12, 13, 14]])
def test_a_candidate_scores_itself_and_what_follows_given_all_before(right):
    left = [1, 2]
    expected = [score(left, candidate, right) for candidate in CANDIDATES]
    assert cloze_scores(MODEL, left, CANDIDATES, right).tolist() == pytest.approx(expected, rel=1e-5)
    assert cloze_rank(MODEL, left, CANDIDATES, right) == sorted(range(5), key=lambda number: -expected[number])


def test_what_follows_the_gap_can_change_the_ranking():
    rankings = {tuple(cloze_rank(MODEL, [1, 2], CANDIDATES, [a, b])) for a, b in itertools.product(range(5), range(5))}
    assert len(rankings) > 1


def test_a_candidate_scores_the_same_alone_and_beside_longer_ones():
    alone = [cloze_scores(MODEL, [1], [candidate], [2, 3]).item() for candidate in CANDIDATES]
    assert cloze_scores(MODEL, [1], CANDIDATES, [2, 3]).tolist() == pytest.approx(alone, rel=1e-5)


def test_equals_keep_their_order():
    assert cloze_rank(MODEL, [1], [[4], [4], [4]], [2]) == [0, 1, 2]


def test_the_mode_is_left_as_it_was():
    MODEL.train()
    cloze_rank(MODEL, [1], [[4]], [])
    assert MODEL.training


@pytest.mark.parametrize(
    ("left", "candidates", "words"),
    [
        ([], [[1]], "the text before the gap is empty: start it with the token for the beginning"),
        ([1], [], r"need candidates of at least one token each, got \[\]"),
        ([1], [[2], []], r"got \[\[2\], \[\]\]"),
    ],
)
def test_impossible_gaps_are_named(left, candidates, words):
    with pytest.raises(ValueError, match=words):
        cloze_rank(MODEL, left, candidates, [3])
