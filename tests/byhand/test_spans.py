"""Spans: rate, length, evenness over the places; span corruption and the way back."""

import math
import random
from itertools import groupby

import pytest
import torch
from byhand.objectives import restore_spans, span_corrupt, span_mask
from scipy.stats import chisquare

LUCK = 1e-6


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def runs(mask):
    return [len(list(group)) for masked, group in groupby(mask.tolist()) if masked]


def ring_runs(mask):
    """Runs on a ring: the mask is turned so that it starts outside a span."""
    return runs(mask.roll(-int((~mask).nonzero()[0])))


@pytest.mark.parametrize(("seq", "p", "mean_len"), [(37, 0.15, 3), (7, 0.15, 2), (50, 0.5, 3.8), (23, 0.9, 4)])
def test_the_rate_is_exact_on_average_and_never_a_token_off(seq, p, mean_len):
    rng, draws = seeded(0), 800
    counts = [int(span_mask(seq, p, mean_len, rng).sum()) for _ in range(draws)]
    assert set(counts) <= {math.floor(p * seq), math.floor(p * seq) + 1}
    part = p * seq % 1
    error = (sum(counts) / draws - p * seq) / math.sqrt(max(part * (1 - part), 1e-12) / draws)
    assert abs(error) < 4.9  # p < 1e-6


def test_spans_never_touch_and_have_the_mean_length_on_the_ring():
    rng = seeded(1)
    for _ in range(300):
        mask = span_mask(200, 0.15, 3, rng)
        assert len(ring_runs(mask)) == 10
        assert sum(ring_runs(mask)) == 30
    lengths = [length for _ in range(800) for length in ring_runs(span_mask(90, 0.15, 3.8, rng))]
    assert abs(sum(lengths) / len(lengths) - 3.8) < 0.1


def test_lengths_are_geometric_given_their_sum():
    rng, python_rng = seeded(2), random.Random(0)
    drawn = [python_rng.choice(ring_runs(span_mask(200, 0.15, 3, rng, longest=30))) for _ in range(2000)]
    total, spans = 30, 10
    share = [math.comb(total - n - 1, spans - 2) / math.comb(total - 1, spans - 1) for n in range(1, 9)]
    expected = [2000 * part for part in (*share, 1 - sum(share))]
    assert chisquare([*(drawn.count(n) for n in range(1, 9)), sum(n > 8 for n in drawn)], expected).pvalue > LUCK


@pytest.mark.parametrize(("seq", "p", "mean_len"), [(5, 0.4, 2), (12, 0.25, 1), (9, 0.6, 2)])
def test_every_place_is_equally_likely_both_ends_included(seq, p, mean_len):
    rng, python_rng = seeded(3), random.Random(1)
    counts = [0] * seq
    for _ in range(2000):  # one masked place of each draw: the places of one draw depend on each other
        counts[python_rng.choice(span_mask(seq, p, mean_len, rng).nonzero().flatten().tolist())] += 1
    assert chisquare(counts).pvalue > LUCK


def test_no_span_is_longer_than_the_longest():
    rng = seeded(4)
    longest = [max(ring_runs(span_mask(120, 0.3, 3.5, rng, longest=4))) for _ in range(200)]
    assert max(longest) == 4
    for _ in range(50):  # no room to keep both the rate and the length: the rate wins
        mask = span_mask(21, 0.95, 2, rng, longest=3)
        assert int(mask.sum()) in (19, 20)


def test_the_ends_of_rate_and_length():
    rng = seeded(5)
    for seq in (0, 1, 2, 13):
        assert not span_mask(seq, 0.0, 3, rng).any()
        assert span_mask(seq, 1.0, 3, rng).all()
        assert span_mask(seq, 0.4, 3, rng).shape == (seq,)
    assert all(run == 1 for _ in range(50) for run in ring_runs(span_mask(40, 0.5, 1, rng)))


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    first, second, other = (span_mask(99, 0.3, 3, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_mask_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="p must be between 0 and 1, got 15"):
        span_mask(10, 15, 3, seeded(0))
    with pytest.raises(ValueError, match="mean_len must be between 1 and longest=10, got 12; change one of them"):
        span_mask(10, 0.15, 12, seeded(0))
    with pytest.raises(ValueError, match=r"got 0\.5"):
        span_mask(10, 0.15, 0.5, seeded(0))
    with pytest.raises(ValueError, match="seq must be 0 or more, got -1"):
        span_mask(-1, 0.15, 3, seeded(0))


def test_the_example_of_the_paper():
    words = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week"]
    mask = torch.tensor([word in ("for", "inviting", "last") for word in words])
    inputs, targets = span_corrupt(torch.arange(10), mask, sentinel0=32, eos=31 - 20)
    names = dict(enumerate(words)) | {32: "<X>", 31: "<Y>", 30: "<Z>", 11: "</s>"}
    assert " ".join(names[i] for i in inputs.tolist()) == "Thank you <X> me to your party <Y> week </s>"
    assert " ".join(names[i] for i in targets.tolist()) == "<X> for inviting <Y> last <Z> </s>"


@pytest.mark.parametrize(
    ("mask", "inputs", "targets"),
    [
        ([0, 0, 0], [5, 6, 7, 1], [99, 1]),
        ([1, 0, 1], [99, 6, 98, 1], [99, 5, 98, 7, 97, 1]),
        ([1, 1, 1], [99, 1], [99, 5, 6, 7, 98, 1]),
        ([0, 1, 1], [5, 99, 1], [99, 6, 7, 98, 1]),
    ],
)
def test_edges_of_the_mask(mask, inputs, targets):
    made = span_corrupt(torch.tensor([5, 6, 7]), torch.tensor(mask).bool(), sentinel0=99, eos=1)
    assert [part.tolist() for part in made] == [inputs, targets]


def test_an_empty_text_is_only_an_end():
    none = torch.empty(0, dtype=torch.long)
    inputs, targets = span_corrupt(none, none.bool(), sentinel0=99, eos=1)
    assert (inputs.tolist(), targets.tolist()) == ([1], [99, 1])
    assert restore_spans(inputs, targets, 99, 1).tolist() == []


def test_restoring_gives_the_text_back():
    rng = seeded(6)
    for _ in range(300):
        seq = int(torch.randint(1, 40, (1,), generator=rng))
        ids = torch.randint(0, 6, (seq, 2), generator=rng, dtype=torch.int32)[:, 0]  # repeats, eos too; strided
        mask = torch.rand(seq, generator=rng) < torch.rand(1, generator=rng)
        before = ids.clone()
        inputs, targets = span_corrupt(ids, mask, sentinel0=60, eos=1)
        assert inputs.dtype == targets.dtype == torch.int32
        assert torch.equal(restore_spans(inputs, targets, sentinel0=60, eos=1), ids)
        assert torch.equal(ids, before)
        # nothing but sentinels and ends is added
        assert len(inputs) + len(targets) == seq + 2 * len(runs(mask)) + 3


def test_sentinels_that_run_out_or_occur_in_the_text_are_refused():
    mask = torch.tensor([True, False, True, False, True])
    with pytest.raises(ValueError, match="3 spans and the end need 4 sentinels, but from 2 down there are 3"):
        span_corrupt(torch.arange(10, 15), mask, sentinel0=2, eos=9)
    span_corrupt(torch.arange(10, 15), mask, sentinel0=3, eos=9)  # just enough
    with pytest.raises(ValueError, match=r"ids \[14\] are sentinels \(from 15 down to 12\)|ids \[12, 13, 14\]"):
        span_corrupt(torch.arange(10, 15), mask, sentinel0=15, eos=9)
    with pytest.raises(ValueError, match=r"ids \[21\] are sentinels .* or for its end"):
        span_corrupt(torch.arange(10, 15), mask, sentinel0=22, eos=21)


@pytest.mark.parametrize(
    ("inputs", "targets", "words"),
    [
        ([5, 99, 1], [99, 6, 98], "targets must end with eos=1"),
        ([5, 99], [99, 6, 98, 1], "inputs must end with eos=1"),
        ([], [99, 1], "inputs must end with eos=1"),
        ([5, 99, 1], [6, 99, 98, 1], "targets must start with sentinel 99, got 6"),
        ([5, 99, 1], [99, 6, 1], "targets must end with a sentinel that nothing follows"),
        ([5, 99, 1], [1], "targets must end with a sentinel"),
        ([5, 99, 1], [99, 1], "inputs hold sentinel 99, but targets fill 0 spans only"),
        ([5, 1], [99, 6, 98, 1], "targets fill 1 spans, but inputs hold 0 sentinels in order"),
        ([98, 5, 99, 1], [99, 6, 98, 7, 97, 1], "targets fill 2 spans, but inputs hold 1 sentinels in order"),
    ],
)
def test_answers_that_do_not_fit_are_refused(inputs, targets, words):
    with pytest.raises(ValueError, match=words):
        restore_spans(torch.tensor(inputs).long(), torch.tensor(targets), sentinel0=99, eos=1)
