"""Exposure of canaries: ranks, ties, extremes, and the log-probabilities that they are made of."""

import math

import pytest
import torch
from byhand.gpt import GPT, GPTConfig
from byhand.memorisation import draw_canaries, exposure, sequence_logprobs

RANDOM = torch.tensor([-4.0, -1.0, -9.0, -2.0, -7.0, -3.0])


@pytest.mark.parametrize(("logp", "rank"), [(-0.5, 1), (-1.5, 2), (-8.0, 6), (-20.0, 7)])
def test_exposure_is_log2_of_how_many_over_the_rank_from_one(logp, rank):
    assert exposure(logp, RANDOM) == pytest.approx(math.log2(6) - math.log2(rank))


def test_what_is_just_as_likely_stands_before():
    assert exposure(-3.0, RANDOM) == pytest.approx(math.log2(6) - math.log2(4))
    assert exposure(-5.0, torch.full((8,), -5.0)) <= 0


def test_exposure_never_falls_as_the_canary_gets_likelier():
    values = [exposure(logp, RANDOM) for logp in torch.linspace(-10, 0, 50).tolist()]
    assert values == sorted(values)
    assert values[-1] == math.log2(6)


@pytest.mark.parametrize(
    ("logp", "others", "words"),
    [
        (-1.0, torch.zeros(0), "draw some that were not in the text"),
        (math.nan, RANDOM, "not a number, so there is no rank"),
        (-1.0, torch.tensor([math.nan]), "not a number, so there is no rank"),
    ],
)
def test_what_has_no_rank_is_named(logp, others, words):
    with pytest.raises(ValueError, match=words):
        exposure(logp, others)


def test_canaries_keep_their_format_and_differ():
    rows = draw_canaries(25, [5, range(10, 20), 6, [20, 21, 22, 22]], torch.Generator().manual_seed(1))
    assert rows.shape == (25, 4)
    assert len({tuple(row) for row in rows.tolist()}) == 25
    assert (rows[:, [0, 2]] == torch.tensor([5, 6])).all()
    assert set(rows[:, 1].tolist()) <= set(range(10, 20))
    assert set(rows[:, 3].tolist()) == {20, 21, 22}
    again = draw_canaries(25, [5, range(10, 20), 6, [20, 21, 22, 22]], torch.Generator().manual_seed(1))
    assert torch.equal(rows, again)


@pytest.mark.parametrize("parts", [[1, [2, 3]], [], [4, []]])
def test_a_format_with_too_few_canaries_is_named(parts):
    with pytest.raises(ValueError, match=r"the format has \d different canaries, 3 were asked for"):
        draw_canaries(3, parts, torch.Generator())


@pytest.mark.parametrize("given", [1, 3])
def test_a_rows_log_probability_is_the_sum_over_its_tokens(given):
    gpt = GPT(GPTConfig(vocab_size=19, max_seq=6, d_model=8, n_layers=1, n_heads=2), torch.Generator().manual_seed(0))
    ids = torch.randint(19, (70, 6), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        steps = gpt(ids).log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None]).squeeze(-1)
    torch.testing.assert_close(sequence_logprobs(gpt, ids, given), steps[:, given - 1 :].sum(-1))
    assert gpt.training


@pytest.mark.parametrize("given", [0, 6])
def test_something_must_be_left_to_predict(given):
    with pytest.raises(ValueError, match=f"given must be 1 to 5 in rows of 6 tokens, got {given}"):
        sequence_logprobs(GPT(GPTConfig.tiny(n_layers=1)), torch.zeros(2, 6, dtype=torch.long), given)
