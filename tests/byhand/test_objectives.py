"""BART's noise, the prefix mask, and every objective as a padded batch."""

import random

import pytest
import torch
from byhand.objectives import (
    Drawn,
    delete_tokens,
    denoising_batch,
    infill_spans,
    mask_tokens,
    mlm_batch,
    nsp_batch,
    nsp_pairs,
    pad_rows,
    permute_sentences,
    prefix_batch,
    prefix_lm_mask,
    restore_spans,
    rotate_document,
    span_batch,
    text_infill,
)
from scipy.stats import binomtest, chisquare

MASK = 99
LUCK = 1e-6


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("spans", "noised"),
    [
        ([], [4, 5, 6, 7, 8]),
        ([(1, 2)], [4, MASK, 7, 8]),
        ([(0, 0)], [MASK, 4, 5, 6, 7, 8]),
        ([(5, 0)], [4, 5, 6, 7, 8, MASK]),
        ([(3, 2), (0, 1)], [MASK, 5, 6, MASK]),
        ([(1, 2), (3, 1)], [4, MASK, MASK, 8]),
        ([(1, 2), (1, 0), (3, 0)], [4, MASK, MASK, MASK, 7, 8]),
        ([(2, 0), (2, 0)], [4, 5, MASK, MASK, 6, 7, 8]),
        ([(0, 5)], [MASK]),
    ],
)
def test_infilling_puts_one_mask_for_each_span_whatever_its_length(spans, noised):
    ids, given = [4, 5, 6, 7, 8], list(spans)
    assert text_infill(ids, spans, MASK) == noised
    assert (ids, spans) == ([4, 5, 6, 7, 8], given)


def test_infilling_refuses_spans_that_overlap_or_leave_the_text():
    for spans, words in [
        ([(1, 3), (2, 1)], r"span \(2, 1\) overlaps one that ends at 4"),
        ([(1, 3), (2, 0)], r"span \(2, 0\) overlaps"),
        ([(4, 2)], r"span \(4, 2\) leaves a text of 5 tokens"),
        ([(6, 0)], "leaves a text of 5"),
        ([(-1, 2)], "leaves a text of 5"),
        ([(2, -1)], "leaves a text of 5"),
    ]:
        with pytest.raises(ValueError, match=words):
            text_infill([4, 5, 6, 7, 8], spans, MASK)


def test_infill_spans_have_poisson_lengths_and_the_rate_and_fit_the_text():
    rng, lengths, covered = random.Random(0), [], 0
    for _ in range(200):
        spans = infill_spans(301, 0.3, 3, rng)
        assert len(text_infill(range(301), spans, MASK)) == 301 - sum(n for _, n in spans) + len(spans)
        covered += sum(n for _, n in spans)
        lengths += [n for _, n in spans[:-1]]  # the last is cut to fit
        assert spans == sorted(spans)
    assert abs(covered / 200 - 90.3) < 0.2
    poisson = [0.049787, 0.149361, 0.224042, 0.224042, 0.168031, 0.100819, 0.050409]
    counts = [lengths.count(n) for n in range(7)] + [sum(n > 6 for n in lengths)]
    assert chisquare(counts, [len(lengths) * share for share in (*poisson, 1 - sum(poisson))]).pvalue > LUCK


def test_infill_spans_at_the_ends_of_rate_and_length():
    rng = random.Random(1)
    assert infill_spans(20, 0.0, 3, rng) == infill_spans(0, 0.3, 3, rng) == []
    assert set(text_infill(range(20), infill_spans(20, 1.0, 3, rng), MASK)) == {MASK}
    starts = {start for _ in range(400) for start, length in infill_spans(6, 0.3, 3, rng) if length}
    assert {0, 5} <= starts
    for arguments, words in [
        ((9, 1.5, 3), "p must be"),
        ((-1, 0.5, 3), "seq must be"),
        ((9, 0.5, 0), "mean_len must be"),
    ]:
        with pytest.raises(ValueError, match=words):
            infill_spans(*arguments, rng)


def test_masking_and_deleting_take_each_token_with_probability_p():
    ids, rng = list(range(20_000)), random.Random(2)
    masked, deleted = mask_tokens(ids, 0.3, -1, rng), delete_tokens(ids, 0.3, rng)
    assert all(new in (old, -1) for new, old in zip(masked, ids, strict=True))
    assert deleted == sorted(set(deleted))
    for taken in (masked.count(-1), len(ids) - len(deleted)):
        assert binomtest(taken, len(ids), 0.3).pvalue > LUCK
    assert mask_tokens([5, 6], 0.0, -1, rng) == delete_tokens([5, 6], 0.0, rng) == [5, 6]
    for noise in (lambda: mask_tokens(ids, 2, -1, rng), lambda: delete_tokens(ids, -0.1, rng)):
        with pytest.raises(ValueError, match="p must be between 0 and 1"):
            noise()


def test_permuting_keeps_sentences_whole_and_gives_every_order_alike():
    ids, rng = [4, 5, 0, 6, 1, 7, 7], random.Random(3)
    orders = {}
    for _ in range(3000):
        made = tuple(permute_sentences(ids, {0, 1}, rng))
        orders[made] = orders.get(made, 0) + 1
    assert set(orders) == {
        tuple(a + b + c)
        for a, b, c in [
            (x, y, z)
            for x in ([4, 5, 0], [6, 1], [7, 7])
            for y in ([4, 5, 0], [6, 1], [7, 7])
            for z in ([4, 5, 0], [6, 1], [7, 7])
            if len({x[0], y[0], z[0]}) == 3
        ]
    }
    assert chisquare(list(orders.values())).pvalue > LUCK
    assert permute_sentences([], {0}, rng) == []
    assert ids == [4, 5, 0, 6, 1, 7, 7]


def test_rotating_starts_at_every_token_alike():
    rng, ids = random.Random(4), [4, 5, 6, 7]
    firsts = []
    for _ in range(2000):
        made = rotate_document(ids, rng)
        firsts.append(made[0])
        assert made == [*ids[made[0] - 4 :], *ids[: made[0] - 4]]
    assert chisquare([firsts.count(token) for token in ids]).pvalue > LUCK
    assert rotate_document([], rng) == []


@pytest.mark.parametrize("seq", [1, 5])
def test_the_prefix_is_seen_by_all_and_sees_nothing_after_it(seq):
    for prefix in range(seq + 1):
        mask = prefix_lm_mask(seq, prefix)
        assert mask.dtype == torch.bool
        for row in range(seq):
            last = max(row, prefix - 1)
            assert mask[row].tolist() == [place <= last for place in range(seq)]


def test_a_prefix_longer_than_the_text_is_refused():
    for prefix in (4, -1):
        with pytest.raises(ValueError, match=f"prefix must be between 0 and seq=3, got {prefix}"):
            prefix_lm_mask(3, prefix)


def test_padding_says_which_places_are_real_even_where_the_token_is_the_padding():
    ids, real = pad_rows([[0, 5, 0], [7], [8, 0]], 0)
    assert ids.tolist() == [[0, 5, 0], [7, 0, 0], [8, 0, 0]]
    assert real.tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    for rows in ([], [[1], []]):
        with pytest.raises(ValueError, match="a batch needs rows of at least one token"):
            pad_rows(rows, 0)


ROWS = [[1, *range(10, 30), 2], [1, 40, 2], [1, *range(50, 59), 2]]


@pytest.mark.parametrize("mean_len", [None, 3.0])
def test_masked_batches_never_predict_padding_or_specials(mean_len):
    ids, labels, attention_mask = mlm_batch(
        ROWS, seeded(0), special={1, 2}, mask_id=3, vocab_size=60, p=0.9, mean_len=mean_len
    )
    assert attention_mask.sum(1).tolist() == [22, 3, 11]
    assert (ids[~attention_mask] == 0).all()
    assert (labels[~attention_mask] == -100).all()
    assert (ids[:, 0] == 1).all()
    chosen = labels != -100
    original, _ = pad_rows(ROWS, 0)
    assert torch.equal(torch.where(chosen, labels, ids), original)
    assert int(chosen.sum()) > 15


def test_pair_batches_carry_segments_and_answers():
    docs = [[[11, 12], [13], [14, 15, 16]], [[21], [22, 23]]]
    pairs = nsp_pairs(docs, 32, random.Random(0), cls_id=1, sep_id=2)
    ids, labels, attention_mask, segment_ids, is_next = nsp_batch(
        pairs, seeded(0), special={1, 2}, mask_id=3, vocab_size=30, p=0.5
    )
    for row, (text, segments, answer) in enumerate(pairs):
        original = torch.where(labels[row] != -100, labels[row], ids[row])
        assert original[attention_mask[row]].tolist() == text
        assert segment_ids[row][attention_mask[row]].tolist() == segments
        assert bool(is_next[row]) is answer
        assert (segment_ids[row][~attention_mask[row]] == 0).all()


def test_span_batches_can_be_restored():
    ids, labels, attention_mask = span_batch(ROWS, seeded(1), sentinel0=99, eos=3, pad_id=0, p=0.4)
    for row, text in enumerate(ROWS):
        inputs, targets = ids[row][attention_mask[row]], labels[row][labels[row] != -100]
        assert restore_spans(inputs, targets, 99, 3).tolist() == text
    assert (ids == 99).any()


def test_denoising_batches_ask_for_the_original():
    def noise(row, rng):
        return text_infill(row, infill_spans(len(row), 0.3, 3, rng), MASK)

    ids, labels, attention_mask = denoising_batch(ROWS, seeded(1), noise=noise, eos=2, pad_id=0)
    assert [row[row != -100].tolist() for row in labels] == [[*row, 2] for row in ROWS]
    assert all(row[real][-1] == 2 for row, real in zip(ids, attention_mask, strict=True))
    assert (ids == MASK).any()
    again, _, _ = denoising_batch(ROWS, seeded(1), noise=noise, eos=2, pad_id=0)
    assert torch.equal(again, ids)


def test_prefix_batches_predict_only_what_follows_and_split_everywhere():
    firsts = []
    for seed in range(400):
        ids, labels, mask = prefix_batch(ROWS, seeded(seed))
        for row, text in enumerate(ROWS):
            scored = (labels[row] != -100).nonzero().flatten().tolist()
            prefix = scored[0] + 1
            assert scored == list(range(prefix - 1, len(text) - 1))
            assert labels[row][scored].tolist() == text[prefix:]
            assert ids[row][: len(text) - 1].tolist() == text[:-1]
            expected = prefix_lm_mask(ids.shape[1], prefix)
            expected[:, len(text) - 1 :] = False
            assert torch.equal(mask[row], expected)
        firsts.append(int((labels[2] != -100).nonzero()[0]) + 1)
    assert chisquare([firsts.count(prefix) for prefix in range(1, 11)]).pvalue > LUCK
    with pytest.raises(ValueError, match=r"need two tokens, got rows of \[1\]"):
        prefix_batch([[5, 6], [7]], seeded(0))


def test_a_source_draws_every_row_and_the_same_batch_for_the_same_generator():
    source = Drawn(ROWS, lambda rows, rng: span_batch(rows, rng, sentinel0=99, eos=3))
    for first, second in zip(source(0, 5, seeded(3)), source(8, 5, seeded(3)), strict=True):
        assert torch.equal(first, second)
        assert len(first) == 5
    seen = Drawn([0, 1, 2], lambda rows, rng: (torch.tensor(rows),))(0, 300, seeded(0))[0]
    assert chisquare(torch.bincount(seen).tolist()).pvalue > LUCK
    with pytest.raises(ValueError, match="needs at least one example, got none"):
        Drawn([], lambda rows, rng: ())
