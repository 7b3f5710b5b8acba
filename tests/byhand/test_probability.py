"""Softmax, cross-entropy and the chain rule: extremes, ties, gradients, and what must not change."""

import math

import numpy as np
import pytest
import torch
from byhand.probability import cross_entropy, log_softmax, sequence_logprob, softmax, table_parameters

LOGITS = torch.tensor([[[3.0, -1.0, 0.5, 2.0], [0.0, 4.0, -2.0, 1.0]], [[1.0, 1.0, 7.0, 0.0], [5.0, 2.0, 2.0, -9.0]]])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3])
def test_softmax_is_the_definition_on_any_number_of_axes(temperature):
    for logits in (LOGITS.double(), LOGITS.double()[0], LOGITS.double()[0, 0]):
        weights = torch.tensor(np.exp(logits.numpy() / temperature))
        torch.testing.assert_close(softmax(logits, temperature), weights / weights.sum(-1, keepdim=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_softmax_stays_finite_at_extremes_and_keeps_its_dtype(dtype):
    logits = torch.tensor([1e4, -1e4, 1e4], dtype=dtype)
    for temperature in (1e-3, 1e-30, 1e-300, 1.0, 1e6):
        probs = softmax(logits, temperature)
        assert probs.dtype == dtype
        assert torch.isfinite(probs).all()
        assert abs(probs.sum().item() - 1) < 1e-2


def test_softmax_goes_to_the_argmax_as_the_temperature_goes_to_zero():
    logits = torch.tensor([0.2, 0.9, -3.0, 0.9], dtype=torch.float64)
    limit = softmax(logits, 0.0)
    assert limit.tolist() == [0.0, 0.5, 0.0, 0.5]
    torch.testing.assert_close(softmax(logits, 1e-4), limit)


def test_softmax_gives_a_gradient_at_every_temperature_and_leaves_its_input_alone():
    for temperature, zero in ((0.7, False), (0.0, True)):
        logits = LOGITS.clone().requires_grad_()
        softmax(logits, temperature)[..., 0].sum().backward()
        assert torch.equal(logits.detach(), LOGITS)
        assert (logits.grad == 0).all().item() is zero


def test_softmax_gives_masked_tokens_no_probability_and_no_gradient():
    logits = torch.tensor([1.0, -math.inf, 2.0], requires_grad=True)
    for temperature in (1.0, 0.0):
        probs = softmax(logits, temperature)
        assert probs[1] == 0
        (grad,) = torch.autograd.grad(probs[2], logits)
        assert torch.isfinite(grad).all()


@pytest.mark.parametrize("temperature", [-1.0, math.nan])
def test_softmax_refuses_an_impossible_temperature(temperature):
    with pytest.raises(ValueError, match="temperature must be 0 or more"):
        softmax(LOGITS, temperature)


def test_log_softmax_is_finite_where_the_probability_rounds_to_zero():
    assert log_softmax(torch.tensor([0.0, -2000.0])).tolist() == [0.0, -2000.0]


def test_cross_entropy_is_the_mean_over_the_targets_that_count():
    targets = torch.tensor([[0, -100], [2, -100]])
    by_hand = -(math.log(softmax(LOGITS)[0, 0, 0]) + math.log(softmax(LOGITS)[1, 0, 2])) / 2
    assert math.isclose(cross_entropy(LOGITS, targets).item(), by_hand, rel_tol=1e-6)


def test_cross_entropy_can_ignore_another_index_even_a_real_token():
    kept = cross_entropy(LOGITS, torch.tensor([[0, -100], [2, 1]]))
    assert torch.equal(cross_entropy(LOGITS, torch.tensor([[0, 3], [2, 1]]), ignore_index=3), kept)


def test_cross_entropy_of_ignored_places_has_no_gradient_even_when_they_are_broken():
    logits = LOGITS.clone()
    logits[0, 1] = math.nan
    logits.requires_grad_()
    cross_entropy(logits, torch.tensor([[0, -100], [2, 1]])).backward()
    assert (logits.grad[0, 1] == 0).all()
    assert (logits.grad[0, 0] != 0).all()


def test_cross_entropy_is_finite_for_a_token_of_vanishing_probability():
    assert cross_entropy(torch.tensor([[1e4, 0.0]]), torch.tensor([1])).item() == 1e4


def test_cross_entropy_with_nothing_to_count_is_nan():
    assert cross_entropy(LOGITS, torch.full((2, 2), -100)).isnan()


def test_sequence_logprob_conditions_on_exactly_what_came_before():
    seen = []

    def cond(context):
        seen.append(context)
        return np.array([0.25, 0.5, 0.25])

    assert math.isclose(sequence_logprob(cond, [1, 0, 1], bos=7), math.log(0.5 * 0.25 * 0.5))
    assert seen == [(7,), (7, 1), (7, 1, 0)]


def test_sequence_logprob_adds_logarithms_so_that_long_sequences_do_not_vanish():
    assert math.isclose(sequence_logprob(lambda _: np.array([0.1, 0.9]), [0] * 500, bos=2), 500 * math.log(0.1))


def test_sequence_logprob_of_the_impossible_is_minus_infinity_and_of_nothing_zero():
    assert sequence_logprob(lambda _: np.array([0.0, 1.0]), [1, 0, 1], bos=2) == -math.inf
    assert sequence_logprob(lambda _: np.array([0.0, 1.0]), [], bos=2) == 0.0


def test_table_parameters_are_exact_integers_and_the_chain_rule_saves_nothing():
    counted = table_parameters(50_257, 20, 3)
    assert counted["joint"] == counted["chain"] == 50_257**20 - 1
    assert counted["ngram"] == 50_257**2 * 50_256
    assert table_parameters(1, 5, 2) == {"joint": 0, "chain": 0, "ngram": 0}


@pytest.mark.parametrize("name", ["vocab_size", "seq", "n"])
def test_table_parameters_name_the_argument_that_is_too_small(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        table_parameters(**{"vocab_size": 2, "seq": 2, "n": 2, name: 0})
