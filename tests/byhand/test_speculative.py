"""Speculative decoding: the target's distribution whatever the draft, one call of the target a round, exact counts."""

import math

import pytest
import torch
from byhand.decoding import (
    acceptance_rate,
    check_guesses,
    distributions_of,
    draw,
    expected_tokens,
    generate,
    greedy,
    last_position,
    speculative_decode,
    speculative_rounds,
    speculative_step,
)
from scipy.stats import binomtest, chisquare

P = torch.tensor([0.1, 0.6, 0.0, 0.25, 0.05])
Q = torch.tensor([0.5, 0.2, 0.1, 0.0, 0.2])
VOCAB = 3
TARGET_TABLE = 1.3 * torch.randn(31, VOCAB, generator=torch.Generator().manual_seed(5))
DRAFT_TABLE = TARGET_TABLE + 1.5 * torch.randn(31, VOCAB, generator=torch.Generator().manual_seed(6))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def model_of(table):
    """Logits for every position that depend on all tokens up to it and on their places."""

    def forward(ids):
        places = torch.arange(1, ids.shape[1] + 1)
        return table[(ids * places * places).cumsum(-1) % len(table)]

    return forward


def remembering(distributions):
    """The same distributions, each computed once: these tests ask thousands of times."""
    known = {}

    def look_up(ids):
        key = tuple(ids.tolist())
        if key not in known:
            known[key] = distributions(ids)
        return known[key]

    return look_up


TARGET = remembering(distributions_of(model_of(TARGET_TABLE)))
DRAFT = remembering(distributions_of(model_of(DRAFT_TABLE)))


class Recorder:
    """A model that keeps the ids it was called with."""

    def __init__(self, model):
        self.model = model
        self.calls = []

    def __call__(self, ids):
        self.calls.append(ids.tolist())
        return self.model(ids)


def p_value(tokens, probs):
    """How likely counts so far off are, had the tokens been drawn from `probs`; 0 where an impossible one came."""
    counts = torch.tensor(tokens).bincount(minlength=len(probs)).double()
    possible = probs > 0
    if bool((counts[~possible] > 0).any()):
        return 0.0
    return float(chisquare(counts[possible], probs[possible].double() / probs.double().sum() * len(tokens)).pvalue)


@pytest.mark.parametrize(("p", "q"), [(P, Q), (Q, P), (P, torch.full((5,), 0.2)), (P.double(), Q.double())])
def test_one_step_gives_the_targets_distribution_and_accepts_the_sum_of_the_smaller_ones(p, q):
    generator = rng(1)
    results = [speculative_step(p, q, generator) for _ in range(1_500)]
    assert p_value([token for token, _ in results], p) > 1e-6
    accepted = sum(kept for _, kept in results)
    assert binomtest(accepted, 1_500, torch.minimum(p, q).sum().item()).pvalue > 1e-6
    assert math.isclose(acceptance_rate(p, q), torch.minimum(p, q).sum(), rel_tol=1e-6)


def wrong_step(p, q, generator, residual, swapped=False):
    guess = int(draw(q[None], generator))
    ratio = q[guess] / p[guess] if swapped else p[guess] / q[guess]
    return guess if torch.rand((), generator=generator) < ratio else int(draw(residual[None], generator))


@pytest.mark.parametrize(("residual", "swapped"), [(P, False), ((P - Q).abs(), False), ((P - Q).clamp(min=0), True)])
def test_the_same_test_refuses_the_wrong_rules(residual, swapped):
    generator = rng(1)
    assert p_value([wrong_step(P, Q, generator, residual, swapped) for _ in range(1_500)], P) < 1e-12


def test_a_draft_like_the_target_is_never_rejected():
    generator = rng()
    assert all(speculative_step(P, P.clone(), generator)[1] for _ in range(2_000))


def test_a_guess_that_the_target_excludes_is_always_replaced_by_one_it_prefers():
    p, q = torch.tensor([0.0, 0.3, 0.7]), torch.tensor([0.9, 0.1, 0.0])
    generator = rng()
    results = {speculative_step(p, q, generator) for _ in range(500)}
    assert results == {(1, False), (2, False), (1, True)}


def test_distributions_that_differ_by_rounding_alone_still_give_a_token():
    less = torch.tensor([0.25, 0.25])  # below q everywhere, so that nothing is left of max(0, p - q)
    generator = rng()
    assert {speculative_step(less, torch.tensor([0.5, 0.5]), generator) for _ in range(200)} == {
        (0, True),
        (1, True),
        (0, False),
        (1, False),
    }


def joint_of_two(prompt):
    """The target's probability of each pair of tokens behind a prompt."""
    first = TARGET(torch.tensor(prompt))[-1]
    seconds = [TARGET(torch.tensor([*prompt, token]))[-1] for token in range(VOCAB)]
    return torch.cat([first[token] * seconds[token] for token in range(VOCAB)])


def pairs_of(decode, count=1_500, prompt=(1, 2)):
    generator = rng(2)
    start = torch.tensor(prompt)
    pairs = [decode(start, generator)[len(prompt) :].tolist() for _ in range(count)]
    return [first * VOCAB + second for first, second in pairs]


@pytest.mark.parametrize("gamma", [1, 2, 4])
def test_two_tokens_together_are_distributed_as_the_target_has_them(gamma):
    pairs = pairs_of(lambda start, g: speculative_decode(TARGET, DRAFT, start, gamma, 2, g)[0])
    assert p_value(pairs, joint_of_two((1, 2))) > 1e-6


def test_the_test_of_two_tokens_refuses_a_draw_from_the_target_after_a_rejection():
    def wrong_decode(start, generator):
        ids = start
        for _ in range(2):
            p, q = TARGET(ids)[-1], DRAFT(ids)[-1]
            ids = torch.cat([ids, torch.tensor([wrong_step(p, q, generator, residual=p)])])
        return ids

    assert p_value(pairs_of(wrong_decode), joint_of_two((1, 2))) < 1e-12


def test_what_is_guessed_after_a_rejection_is_thrown_away():
    generator = rng(3)
    results = [check_guesses([0, 4], torch.stack([Q, Q]), torch.stack([P, P, P]), generator) for _ in range(300)]
    assert {len(tokens) - accepted for tokens, accepted in results} == {1}
    assert {accepted for _, accepted in results} == {0, 1, 2}
    for tokens, accepted in results:
        assert tokens[:accepted] == [0, 4][:accepted]


def test_each_round_calls_the_target_once_and_the_draft_once_a_guess():
    target, draft = Recorder(TARGET), Recorder(DRAFT)
    prefix = torch.tensor([2, 0, 1])
    rounds = list(speculative_rounds(target, draft, prefix, 3, 25, rng(4)))
    assert len(target.calls) == len(rounds)
    assert len(draft.calls) == sum(one.drafted for one in rounds)
    assert 0 < sum(one.accepted for one in rounds) < sum(one.drafted for one in rounds)

    ids, calls = speculative_decode(TARGET, DRAFT, prefix, 3, 25, rng(4))
    assert calls == len(rounds)
    assert ids.tolist() == [*prefix.tolist(), *(token for one in rounds for token in one.tokens)]
    assert len(ids) == 3 + 25
    asked = iter(draft.calls)
    sofar = prefix.tolist()
    for one, checked in zip(rounds, target.calls, strict=True):
        guessed_from = [next(asked) for _ in range(one.drafted)]
        assert [len(seen) for seen in guessed_from] == list(range(len(sofar), len(sofar) + one.drafted))
        assert all(seen == checked[: len(seen)] for seen in guessed_from)
        assert checked[: len(sofar)] == sofar  # nothing that was rejected is left
        assert len(one.tokens) == one.accepted + 1
        assert checked[len(sofar) :][: one.accepted] == one.tokens[: one.accepted]
        sofar += one.tokens


def test_a_perfect_draft_gives_a_bonus_token_each_round_and_a_useless_one_a_single_token():
    prefix = torch.tensor([1])
    for gamma, max_new, calls in ((1, 8, 4), (3, 8, 2), (3, 9, 3), (7, 3, 1), (2, 1, 1)):
        ids, counted = speculative_decode(TARGET, TARGET, prefix, gamma, max_new, rng())
        assert (len(ids), counted) == (1 + max_new, calls)

    def never(ids):
        return torch.tensor([[0.0, 0.0, 1.0]]).expand(len(ids), -1)

    def other(ids):
        return torch.tensor([[0.4, 0.6, 0.0]]).expand(len(ids), -1)

    ids, calls = speculative_decode(other, never, prefix, 4, 9, rng())
    assert (len(ids), calls) == (10, 9)
    assert 2 not in ids[1:].tolist()


@pytest.mark.parametrize("gamma", [1, 2, 5])
@pytest.mark.parametrize("eos", [None, 0, 2])
def test_at_temperature_0_the_output_is_the_targets_greedy_one(gamma, eos):
    target = model_of(TARGET_TABLE)
    pair = [distributions_of(model_of(table), temperature=0.0) for table in (TARGET_TABLE, DRAFT_TABLE)]
    for prompt in ([1], [2, 1], [0, 2, 2], [1, 1]):
        expected = generate(last_position(target), torch.tensor([prompt]), 15, greedy, eos)[0]
        ids, calls = speculative_decode(*pair, torch.tensor(prompt), gamma, 15, rng(), eos)
        assert ids.tolist() == expected.tolist()
        assert calls <= len(expected) - len(prompt)


def test_eos_among_the_accepted_guesses_ends_the_text():
    def always(ids):
        return torch.tensor([[0.0, 1.0, 0.0]]).expand(len(ids), -1)

    rounds = list(speculative_rounds(always, always, torch.tensor([0]), 5, 30, rng(), eos=1))
    assert rounds == [([1], 5, 1)]


def test_sampling_settings_hold_for_what_is_written():
    pair = [distributions_of(model_of(table), 0.8, top_k=2, top_p=0.95) for table in (TARGET_TABLE, DRAFT_TABLE)]
    prompt = torch.tensor([1, 2])
    ids, _ = speculative_decode(*pair, prompt, 3, 60, rng())
    rows = pair[0](ids[:-1])
    assert (rows > 0).sum(-1).max() == 2
    assert all(rows[place, token] > 0 for place, token in enumerate(ids[1:].tolist()) if place > 0)


def test_tokens_a_round_come_to_the_formula():
    """Every guess is kept with probability .8, wherever it stands."""
    p, q = torch.tensor([0.3, 0.7, 0.0]), torch.tensor([0.3, 0.5, 0.2])
    rounds = list(
        speculative_rounds(lambda ids: p.expand(len(ids), -1), lambda ids: q[None], torch.tensor([0]), 4, 3_000, rng(7))
    )[:-2]  # the last ones may be cut short
    lengths = torch.tensor([float(len(one.tokens)) for one in rounds])
    error = lengths.std() / math.sqrt(len(rounds))
    assert abs(lengths.mean() - expected_tokens(0.8, 4)) < 5 * error
    assert error < 0.07


def test_expected_tokens_is_the_closed_form_and_reaches_both_ends():
    for acceptance in (0.1, 0.5, 0.93):
        for gamma in (1, 4, 9):
            closed = (1 - acceptance ** (gamma + 1)) / (1 - acceptance)
            assert math.isclose(expected_tokens(acceptance, gamma), closed, rel_tol=1e-12)
    assert expected_tokens(0.0, 4) == 1.0
    assert expected_tokens(1, 4) == 5.0


def test_acceptance_is_one_less_the_total_variation_distance_for_each_row():
    p = torch.rand(4, 6, generator=rng(), dtype=torch.float64).log_softmax(-1).exp()
    q = torch.rand(4, 6, generator=rng(1), dtype=torch.float64).log_softmax(-1).exp()
    torch.testing.assert_close(acceptance_rate(p, q), 1 - (p - q).abs().sum(-1) / 2)
    torch.testing.assert_close(acceptance_rate(p, p), torch.ones(4, dtype=torch.float64))


def test_a_target_may_give_only_the_rows_that_are_needed():
    full = speculative_decode(TARGET, DRAFT, torch.tensor([1, 0, 2]), 3, 20, rng())
    ids, calls = speculative_decode(
        lambda ids: TARGET(ids)[-4:], lambda ids: DRAFT(ids)[-1:], torch.tensor([1, 0, 2]), 3, 20, rng()
    )
    assert ids.tolist() == full[0].tolist()
    assert calls == full[1]


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_the_prefix_its_dtype_and_the_global_random_state_are_left_alone(dtype):
    prefix = torch.tensor([1, 2, 1], dtype=dtype)
    state = torch.get_rng_state()
    seen = set()

    def target(ids):
        seen.add(ids.dtype)
        return TARGET(ids)

    ids, _ = speculative_decode(target, DRAFT, prefix, 2, 6, rng())
    assert seen == {dtype}
    again, _ = speculative_decode(TARGET, DRAFT, prefix, 2, 6, rng())
    assert torch.equal(ids, again)
    assert ids.dtype == dtype
    assert prefix.tolist() == ids[:3].tolist() == [1, 2, 1]
    assert torch.equal(torch.get_rng_state(), state)
    unchanged, calls = speculative_decode(TARGET, DRAFT, prefix, 2, 0, rng())
    assert (unchanged.tolist(), calls) == ([1, 2, 1], 0)
    assert unchanged.data_ptr() != prefix.data_ptr()


def decode(**changes):
    settings = {"target": TARGET, "draft": DRAFT, "prefix": torch.tensor([1]), "gamma": 2, "max_new": 5, "rng": rng()}
    return speculative_decode(**{**settings, **changes})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: decode(prefix=torch.zeros(0, dtype=torch.long)), "the prefix is empty.*one for BOS"),
        (lambda: decode(gamma=0), "gamma >= 1 guess a round and max_new >= 0, got gamma=0, max_new=5"),
        (lambda: decode(max_new=-1), "got gamma=2, max_new=-1"),
        (lambda: decode(target=lambda ids: TARGET(ids)[-1:]), "2 guesses need 3 rows of the target.* got 1"),
        (lambda: decode(draft=lambda ids: P[None]), "a vocabulary of 5, the target one of 3: both must share"),
        (lambda: speculative_step(P, Q[:4], rng()), "p has 5 tokens, q has 4: target and draft must share"),
        (lambda: speculative_step(P, Q * math.nan, rng()), "no token that could be drawn"),
        (lambda: expected_tokens(1.2, 3), "acceptance in .0, 1. and gamma >= 1, got acceptance=1.2"),
        (lambda: expected_tokens(0.5, 0), "gamma=0"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
