"""Masked language modelling: the rates, who may be chosen, and what is left alone."""

import math

import pytest
import torch
from byhand.objectives import mlm_corrupt, mlm_corrupt_spans
from scipy.stats import binomtest, chisquare

SPECIAL = {0, 1, 2}
MASK = 3
VOCAB = 43
NEVER = torch.tensor([0, 1, 2, MASK])
LUCK = 1e-6


def text(batch, seq, seed=0):
    """Ragged rows [1 ... 2 0 0] with specials in the middle too."""
    rng = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, VOCAB, (batch, seq), generator=rng)
    ids[:, 0], ids[::3, seq // 2], ids[:, -3], ids[::2, -2:] = 1, 2, 2, 0
    return ids


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def corrupt(ids, p, seed=5):
    return mlm_corrupt(ids, p, SPECIAL, MASK, VOCAB, seeded(seed))


def corrupt_spans(ids, p, seed=5):
    return mlm_corrupt_spans(ids, p, 2.5, SPECIAL, MASK, VOCAB, seeded(seed))


@pytest.mark.parametrize("p", [0.15, 0.5])
def test_each_token_is_chosen_with_probability_p(p):
    ids = text(400, 211)
    _, labels = corrupt(ids, p)
    candidates = int((~torch.isin(ids, NEVER)).sum())
    assert binomtest(int((labels != -100).sum()), candidates, p).pvalue > LUCK


def test_of_the_chosen_eighty_percent_are_masked_and_ten_replaced_and_ten_kept():
    ids = text(600, 211)
    spoiled, labels = corrupt(ids, 0.3)
    chosen = labels != -100
    masked = int((spoiled[chosen] == MASK).sum())
    kept = int((spoiled[chosen] == labels[chosen]).sum())
    n, ordinary = int(chosen.sum()), VOCAB - len(NEVER)
    # a random token may happen to be the original
    expected = [0.8 * n, 0.1 * n * (1 + 1 / ordinary), 0.1 * n * (1 - 1 / ordinary)]
    assert chisquare([masked, kept, n - masked - kept], expected).pvalue > LUCK


def test_random_tokens_are_drawn_evenly_from_the_ordinary_ones_alone():
    ids = text(600, 211).clamp(max=VOCAB - 2)  # the last id never occurs in the text
    ids[ids == 4] = 5  # nor does the first ordinary one
    spoiled, labels = corrupt(ids, 1.0)
    replaced = spoiled[(labels != -100) & (spoiled != MASK) & (spoiled != labels)]
    assert not torch.isin(replaced, NEVER).any()
    counts = torch.bincount(replaced, minlength=VOCAB)[[4, VOCAB - 1]].tolist()
    n = int((labels != -100).sum())
    assert binomtest(sum(counts), n, 0.1 * 2 / (VOCAB - len(NEVER))).pvalue > LUCK
    assert min(counts) > 0


@pytest.mark.parametrize("spoil", [corrupt, corrupt_spans])
def test_specials_and_masks_are_never_chosen_and_the_rest_keeps_its_token(spoil):
    ids = text(50, 60)
    ids[4, 7:9] = MASK
    for p in (0.15, 1.0):
        spoiled, labels = spoil(ids, p)
        special = torch.isin(ids, NEVER)
        assert (labels[special] == -100).all()
        chosen = labels != -100
        assert torch.equal(spoiled[~chosen], ids[~chosen])
        assert torch.equal(labels[chosen], ids[chosen])
        assert chosen.any()


@pytest.mark.parametrize("spoil", [corrupt, corrupt_spans])
def test_the_ends_of_the_rate_are_nothing_and_everything(spoil):
    ids = text(4, 30)
    spoiled, labels = spoil(ids, 0.0)
    assert torch.equal(spoiled, ids)
    assert (labels == -100).all()
    _, labels = spoil(ids, 1.0)
    assert torch.equal(labels != -100, ~torch.isin(ids, NEVER))


@pytest.mark.parametrize("spoil", [corrupt, corrupt_spans])
def test_the_input_and_the_global_generator_are_left_alone_and_the_seed_decides(spoil):
    wide = text(6, 40).int()
    ids = wide.t().contiguous().t()  # not contiguous
    before, state = ids.clone(), torch.get_rng_state()
    spoiled, labels = spoil(ids, 0.4, seed=1)
    assert torch.equal(ids, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert spoiled.dtype == labels.dtype == torch.int32
    again, _ = spoil(ids, 0.4, seed=1)
    other, _ = spoil(ids, 0.4, seed=2)
    assert torch.equal(again, spoiled)
    assert not torch.equal(other, spoiled)


@pytest.mark.parametrize("spoil", [corrupt, corrupt_spans])
def test_empty_and_all_special_rows_have_nothing_to_predict(spoil):
    for ids in (torch.empty(0, 5, dtype=torch.long), torch.empty(2, 0, dtype=torch.long), torch.tensor([[1, 2, 0]])):
        spoiled, labels = spoil(ids, 0.9)
        assert torch.equal(spoiled, ids)
        assert (labels == -100).all()


def test_a_span_is_masked_or_replaced_or_kept_as_one():
    ids = torch.randint(4, 1000, (300, 60), generator=seeded(0))
    spoiled, labels = mlm_corrupt_spans(ids, 0.2, 4, SPECIAL, MASK, 1000, seeded(3))
    fates = []
    for row, chosen in enumerate(labels != -100):
        kinds = [
            "none" if not chosen[place] else "mask" if spoiled[row, place] == MASK
            else "kept" if spoiled[row, place] == ids[row, place] else "random"
            for place in range(60)
        ]  # fmt: skip
        runs = [[]]
        for kind in kinds:
            runs.append([]) if kind == "none" else runs[-1].append(kind)
        fates += [run for run in runs if run]
    # a random token is the original once in a thousand times
    assert sum(len(set(run)) > 1 for run in fates) <= 2
    counts = [sum(run[0] == kind for run in fates) for kind in ("mask", "random", "kept")]
    total = len(fates)
    assert chisquare(counts, [0.8 * total, 0.1 * total, 0.1 * total]).pvalue > LUCK
    lengths = [len(run) for run in fates]
    assert 3.4 < sum(lengths) / total < 4.0  # spans cut at the ends are shorter
    assert int((labels != -100).sum()) == 300 * 12


@pytest.mark.parametrize("p", [-0.1, 1.01, 15, math.nan])
def test_a_rate_that_is_none_is_refused(p):
    for spoil in (corrupt, corrupt_spans):
        with pytest.raises(ValueError, match=r"p must be between 0 and 1, got .*; 15 % is 0.15"):
            spoil(text(2, 9), p)


def test_ids_outside_the_vocabulary_are_refused():
    with pytest.raises(ValueError, match="ids run from 4 to 43, the vocabulary from 0 to 42"):
        corrupt(torch.tensor([[4, 43]]), 0.1)
    with pytest.raises(ValueError, match="ids run from -1"):
        corrupt(torch.tensor([[4, -1]]), 0.1)
    with pytest.raises(ValueError, match=r"special ids \[50, 99\] are outside the vocabulary of 43"):
        mlm_corrupt(text(2, 9), 0.1, {0, 99}, 50, VOCAB, seeded(0))
    with pytest.raises(ValueError, match="all 4 ids are special"):
        mlm_corrupt(torch.tensor([[1, 2]]), 0.1, SPECIAL, MASK, 4, seeded(0))
