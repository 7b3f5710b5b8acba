"""Filters and sampling: exact sets under ties, the right order, frequencies that pass a chi-square test."""

import math

import pytest
import torch
from byhand.decoding import (
    Bias,
    MinLength,
    NoRepeatNgram,
    RepetitionPenalty,
    Sampler,
    Temperature,
    TopK,
    TopP,
    ban_repeats,
    chain,
    distinct_n,
    distribution,
    draw,
    greedy,
    ngram_entropy,
    penalize_repeats,
    repetition_rate,
    sample,
    top_k_filter,
    top_p_filter,
)
from scipy.stats import chisquare

INF = math.inf


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def logits_like(*shape, seed=0):
    return 2 * torch.randn(*shape, generator=rng(seed))


def kept(logits):
    return [token for token, value in enumerate(logits.tolist()) if value > -INF]


def p_value(tokens, probs):
    """How likely counts so far off are, had the tokens been drawn from `probs`; 0 where an impossible one came."""
    counts = tokens.bincount(minlength=len(probs)).double()
    possible = probs > 0
    if bool((counts[~possible] > 0).any()):
        return 0.0
    expected = probs[possible].double()
    return float(chisquare(counts[possible], expected / expected.sum() * len(tokens)).pvalue)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(11,), (3, 11), (2, 5, 11)])
def test_filters_keep_values_places_shape_and_dtype_and_leave_their_input_alone(shape, dtype):
    logits = logits_like(*shape).to(dtype)
    before = logits.clone()
    for filtered in (top_k_filter(logits, 4), top_p_filter(logits, 0.7)):
        assert filtered.shape == logits.shape
        assert filtered.dtype == dtype
        stays = filtered > -INF
        assert torch.equal(filtered[stays], logits[stays])
        assert (filtered[~stays] == -INF).all()
        assert 0 < stays.sum() < stays.numel()
    assert torch.equal(logits, before)


def test_top_k_keeps_exactly_k_and_of_ties_those_with_the_lowest_ids():
    assert kept(top_k_filter(torch.tensor([2.0, 5.0, 2.0, 5.0, 2.0, 2.0]), 4)) == [0, 1, 2, 3]
    assert kept(top_k_filter(torch.tensor([2.0, 5.0, 2.0, 5.0, 2.0, 2.0]), 1)) == [1]
    assert kept(top_k_filter(torch.zeros(7), 3)) == [0, 1, 2]
    ties = torch.randint(3, (50, 9), generator=rng()).float()
    for top_k in range(1, 9):
        assert ((top_k_filter(ties, top_k) > -INF).sum(-1) == top_k).all()


def test_top_k_of_the_vocabulary_or_more_keeps_everything():
    logits = logits_like(2, 5)
    for top_k in (5, 6, 10**9):
        assert torch.equal(top_k_filter(logits, top_k), logits)


def test_top_k_keeps_what_sorting_keeps_and_works_on_a_transposed_view():
    logits = logits_like(13, 40).T
    for top_k in (1, 5, 12):
        largest = logits.argsort(dim=-1, descending=True)[:, :top_k]
        for row, best in zip(top_k_filter(logits, top_k), largest, strict=True):
            assert kept(row) == sorted(best.tolist())


def test_filters_in_turn_never_bring_back_what_the_one_before_took_out():
    logits = torch.tensor([-INF, 1.0, -INF, 2.0, 0.0])
    assert kept(top_k_filter(logits, 4)) == [1, 3, 4]
    assert kept(top_p_filter(logits, 0.999999)) == [1, 3, 4]
    assert kept(top_p_filter(logits, 1.0)) == [1, 3, 4]


def test_top_p_keeps_the_token_that_crosses_and_scatters_back():
    logits = torch.tensor([0.05, 0.4, 0.15, 0.3, 0.1]).log()
    for top_p, tokens in (
        (0.39, [1]),
        (0.41, [1, 3]),
        (0.71, [1, 2, 3]),
        (0.86, [1, 2, 3, 4]),
        (0.96, [0, 1, 2, 3, 4]),
    ):
        assert kept(top_p_filter(logits, top_p)) == tokens


@pytest.mark.parametrize("vocab", [2, 3, 4, 7, 10, 100, 1000])
def test_top_p_keeps_no_token_more_than_needed_where_the_mass_meets_p_exactly(vocab):
    for count in {1, vocab // 3, vocab // 2, vocab - 1} - {0}:
        assert kept(top_p_filter(torch.zeros(vocab), count / vocab)) == list(range(count))


def test_top_p_keeps_at_least_one_token_and_at_1_all_of_them():
    logits = torch.tensor([0.0, 30.0, -80.0, 30.0])
    for top_p in (0.0, 1e-300, 1e-12, 0.4):
        assert kept(top_p_filter(logits, top_p)) == [1]
    assert torch.equal(top_p_filter(logits, 1.0), logits)
    assert torch.equal(top_p_filter(logits, 1), logits)


def test_top_p_is_the_smallest_set_that_reaches_p():
    for logits in logits_like(30, 12):
        probs = logits.double().softmax(-1)
        for top_p in (0.1, 0.5, 0.9, 0.99):
            tokens = kept(top_p_filter(logits, top_p))
            mass = probs[tokens].sum()
            assert mass >= top_p
            assert mass - probs[tokens].min() < top_p
            assert len(tokens) == 12 or probs[tokens].min() >= max(probs[t] for t in range(12) if t not in tokens)


def test_ban_repeats_forbids_exactly_what_would_complete_an_ngram_again():
    ids = torch.tensor([1, 2, 3, 1, 2, 4, 1, 2])
    for n, banned in ((1, [1, 2, 3, 4]), (2, [3, 4]), (3, [3, 4]), (4, []), (8, []), (9, []), (50, [])):
        assert kept(ban_repeats(ids, torch.zeros(6), n)) == [token for token in range(6) if token not in banned]
    assert kept(ban_repeats(torch.tensor([5, 1, 2, 5, 1]), torch.zeros(6), 3)) == [0, 1, 3, 4, 5]


def test_ban_repeats_forbids_what_counting_every_ngram_forbids_in_each_row():
    ids = torch.randint(3, (40, 14), generator=rng())
    for n in (1, 2, 3, 4):
        for row, filtered in zip(ids.tolist(), ban_repeats(ids, logits_like(40, 3), n), strict=True):
            grams = {tuple(row[place : place + n]) for place in range(len(row) - n + 1)}
            allowed = [token for token in range(3) if (*row[len(row) - n + 1 :], token) not in grams]
            assert kept(filtered) == allowed


def test_ban_repeats_of_a_sequence_too_short_or_empty_forbids_nothing():
    for length in (0, 1):
        ids = torch.zeros(length, dtype=torch.long)
        assert kept(ban_repeats(ids, torch.zeros(3), 2)) == [0, 1, 2]
    assert kept(ban_repeats(torch.tensor([0, 0]), torch.zeros(3), 2)) == [1, 2]


def test_penalize_repeats_moves_each_seen_token_away_once_and_no_other():
    logits = torch.tensor([[3.0, -3.0, 0.0, 2.0, -2.0], [3.0, -3.0, 0.0, 2.0, -2.0]])
    ids = torch.tensor([[0, 1, 0, 0, 2], [3, 4, 4, 3, 3]])
    penalized = penalize_repeats(ids, logits, 2.0)
    assert penalized.tolist() == [[1.5, -6.0, 0.0, 2.0, -2.0], [3.0, -3.0, 0.0, 1.0, -4.0]]
    assert torch.equal(penalize_repeats(ids, logits, 1.0), logits)
    assert torch.equal(penalize_repeats(ids[:, :0], logits, 1.5), logits)


@pytest.mark.parametrize("rule", [lambda ids, z: ban_repeats(ids, z, 2), lambda ids, z: penalize_repeats(ids, z, 2.0)])
@pytest.mark.parametrize("token", [-1, 4])
def test_ids_outside_the_vocabulary_are_refused(rule, token):
    with pytest.raises(ValueError, match="a vocabulary of 4: use the tokenizer"):
        rule(torch.tensor([0, token, 0]), torch.zeros(4))


def test_processors_apply_their_rule_row_by_row():
    ids, logits = torch.randint(9, (4, 12), generator=rng()), logits_like(4, 9)
    for processor, rule in (
        (Temperature(0.5), lambda row, z: z / 0.5),
        (TopK(3), lambda row, z: top_k_filter(z, 3)),
        (TopP(0.6), lambda row, z: top_p_filter(z, 0.6)),
        (RepetitionPenalty(1.3), lambda row, z: penalize_repeats(row, z, 1.3)),
        (NoRepeatNgram(2), lambda row, z: ban_repeats(row, z, 2)),
        (Bias({2: 1.0, 5: -INF}), lambda row, z: z + torch.tensor([0, 0, 1.0, 0, 0, -INF, 0, 0, 0])),
        (Bias({}), lambda row, z: z),
        (MinLength(13, eos=4), lambda row, z: z.index_fill(0, torch.tensor([4]), -INF)),
        (MinLength(12, eos=4), lambda row, z: z),
    ):
        before = logits.clone()
        alone = torch.stack([rule(row, z) for row, z in zip(ids, logits, strict=True)])
        torch.testing.assert_close(processor(ids, logits), alone, rtol=0, atol=0)
        assert torch.equal(logits, before)


def test_a_chain_applies_from_first_to_last_and_of_nothing_changes_nothing():
    ids, logits = torch.zeros(1, 1, dtype=torch.long), torch.tensor([[4.0, 3.0, 1.0]])
    penalized_first = chain([RepetitionPenalty(2.0), TopK(1)])(ids, logits)
    assert [kept(row) for row in penalized_first] == [[1]]
    assert [kept(row) for row in chain([TopK(1), RepetitionPenalty(2.0)])(ids, logits)] == [[0]]
    assert torch.equal(chain([])(ids, logits), logits)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TopK(0), "top_k must be at least 1, got 0; leave the filter out"),
        (lambda: TopP(1.5), "between 0 and 1, got 1.5; it is a probability, not a percentage"),
        (lambda: TopP(-0.1), "between 0 and 1"),
        (lambda: TopP(math.nan), "between 0 and 1"),
        (lambda: Temperature(0.0), "above 0, got 0.0; for the limit at 0 pick greedily"),
        (lambda: Temperature(math.nan), "temperature must be above 0"),
        (lambda: RepetitionPenalty(0.0), "penalty must be above 0, got 0.0; 1 changes nothing"),
        (lambda: NoRepeatNgram(0), "n must be at least 1, got 0"),
        (lambda: Bias({7: 1.0})(torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 3)), "a vocabulary of 3"),
        (lambda: Sampler(rng(), temperature=-1.0), "temperature must be 0 or more, got -1.0; 0 picks the largest"),
        (lambda: Sampler(rng(), top_k=0), "top_k must be at least 1"),
        (lambda: Sampler(rng(), top_p=90), "not a percentage"),
    ],
)
def test_impossible_settings_are_refused_when_they_are_made(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, None, None), (0.8, 5, 0.9), (2.0, 7, None), (1.5, None, 0.7)]
)
def test_sampled_frequencies_pass_a_chi_square_test(temperature, top_k, top_p):
    logits = logits_like(9, seed=5) / 2
    probs = (logits / temperature).softmax(-1)
    probs = torch.where(probs >= probs.sort(descending=True).values[(top_k or 9) - 1], probs, 0.0)
    probs = probs / probs.sum()
    ordered, order = probs.sort(descending=True)
    needed = int((ordered.cumsum(0) < (top_p or 2)).sum()) + 1
    probs[order[needed:]] = 0.0
    assert (probs > 0).sum() > 2
    tokens = sample(logits.expand(20_000, -1), temperature, top_k, top_p, rng(1))
    assert p_value(tokens, probs) > 1e-6
    torch.testing.assert_close(distribution(logits, temperature, top_k, top_p), probs / probs.sum())


def test_temperature_comes_first_and_top_p_counts_what_top_k_left():
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    # Of .4 + .3, renormalised, the first has .571: enough for .55. Of all four it has .4, and two would stay.
    assert kept(distribution(logits, 1.0, top_k=2, top_p=0.55).log()) == [0]
    assert kept(distribution(logits, 1.0, top_k=None, top_p=0.55).log()) == [0, 1]
    # Sharpened, the first has .53 of all; filtered before sharpening, two would stay.
    assert kept(distribution(logits, 0.5, top_k=None, top_p=0.5).log()) == [0]


def test_temperature_0_is_greedy_with_ties_to_the_lowest_id_and_draws_nothing():
    logits = torch.tensor([[1.0, 7.0, 7.0], [5.0, 5.0, -INF], [-3.0, -2.0, -1.0]])
    generator = rng()
    before = generator.get_state()
    assert sample(logits, 0.0, None, None, generator).tolist() == greedy(logits).tolist() == [1, 0, 2]
    assert sample(logits, 0.0, 2, 0.5, generator).tolist() == [1, 0, 2]
    assert torch.equal(generator.get_state(), before)
    assert distribution(logits, 0.0)[:2].tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]


def test_a_tiny_temperature_is_the_limit_and_a_huge_one_is_uniform():
    logits = torch.tensor([[300.0, 10.0, -400.0]])
    for temperature in (1e-3, 1e-30, 1e-300):
        assert distribution(logits, temperature, None, 0.9).tolist() == [[1.0, 0.0, 0.0]]
    torch.testing.assert_close(distribution(logits, 1e9), torch.full((1, 3), 1 / 3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_sampling_works_in_every_precision(dtype):
    tokens = sample(torch.tensor([0.7, 0.2, 0.1]).log().to(dtype).expand(5_000, -1), 1.0, 2, None, rng())
    assert p_value(tokens, torch.tensor([7 / 9, 2 / 9, 0.0])) > 1e-6
    assert distribution(torch.zeros(3, dtype=dtype)).dtype == torch.promote_types(dtype, torch.float32)


def test_sampling_uses_its_own_random_numbers_only():
    logits = logits_like(6, 50)
    state = torch.get_rng_state()
    first = sample(logits, 1.0, None, None, rng(3))
    assert torch.equal(first, sample(logits, 1.0, None, None, rng(3)))
    assert torch.equal(torch.get_rng_state(), state)
    picks = Sampler(rng(3))
    assert torch.equal(picks(logits), first)
    assert not torch.equal(picks(logits), first)


@pytest.mark.parametrize("row", [[-INF, -INF], [math.nan, 0.0], [INF, 0.0]])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_with_nothing_to_draw_is_named(row, temperature):
    with pytest.raises(ValueError, match="row 1 has no token that could be drawn"):
        sample(torch.tensor([[0.0, 1.0], row]), temperature, None, None, rng())


def test_draw_never_gives_a_token_without_probability():
    tokens = draw(torch.tensor([0.0, 1e-3, 0.0, 1.0, 0.0]).expand(10_000, -1), rng())
    assert set(tokens.tolist()) == {1, 3}


def test_distinct_n_counts_within_samples_and_divides_by_the_ngrams():
    assert distinct_n([1, 1, 1, 1], 1) == 0.25
    assert distinct_n([1, 2, 3], 2) == 1.0
    assert distinct_n([[1, 2], [1, 2], [3, 4]], 2) == 2 / 3  # never (2, 1) or (2, 3)
    assert distinct_n(torch.tensor([[1, 2, 1], [2, 1, 2]]), 2) == 0.5
    assert distinct_n([[1], [1, 2, 3, 4]], 3) == 1.0


def test_measures_of_samples_too_short_are_0_and_not_nan():
    for samples in ([], [[]], [3], [[3], []], torch.zeros(0, dtype=torch.long)):
        assert distinct_n(samples, 2) == 0.0
        assert ngram_entropy(samples, 2) == 0.0
        assert repetition_rate(samples, 2) == 0.0


def test_ngram_entropy_is_that_of_the_distribution_of_ngrams():
    counts = torch.tensor([4.0, 2.0, 1.0, 1.0])
    expected = torch.distributions.Categorical(probs=counts).entropy().item()
    assert math.isclose(ngram_entropy([0, 0, 1, 0, 2, 1, 3, 0], 1), expected, rel_tol=1e-6)
    assert ngram_entropy([[5, 5], [5, 5]], 2) == 0.0


def test_repetition_rate_looks_back_no_further_than_its_window_and_reaches_both_bounds():
    assert repetition_rate([1, 2, 1, 2], 1) == 0.0
    assert repetition_rate([1, 2, 1, 2], 2) == 2 / 3
    assert repetition_rate([4, 4, 4], 1) == 1.0
    assert repetition_rate([[1, 2], [2, 1]], 3) == 0.0
    assert repetition_rate([1, 2, 3, 1], 99) == 1 / 3


@pytest.mark.parametrize("measure", [distinct_n, ngram_entropy, repetition_rate])
def test_measures_refuse_a_size_below_1(measure):
    with pytest.raises(ValueError, match="must be at least 1"):
        measure([1, 2], 0)
