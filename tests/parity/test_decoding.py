"""Decoding is that of transformers: greedy, beam and speculative token for token, processors number for number."""

import math

import pytest
import torch
from byhand.decoding import (
    Bias,
    MinLength,
    NoRepeatNgram,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    beam_generate,
    chain,
    distribution,
    distributions_of,
    generate,
    last_position,
    pad_left,
    speculative_decode,
    speculative_rounds,
)

transformers = pytest.importorskip("transformers")
VOCAB, PAD = 13, 12


def gpt(seed, n_layer=2):
    """A tiny GPT-2 whose weights are large enough that its distributions are neither flat nor one-hot."""
    config = transformers.GPT2Config(
        vocab_size=VOCAB,
        n_positions=40,
        n_embd=24,
        n_layer=n_layer,
        n_head=3,
        initializer_range=0.25,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.GPT2LMHeadModel(config).eval()


@pytest.fixture(scope="module")
def models():
    return [gpt(seed) for seed in range(3)]


def logits_of(model):
    def forward(ids, attention_mask=None, positions=None):
        mask = None if attention_mask is None else attention_mask.long()
        return model(ids, attention_mask=mask, position_ids=positions, use_cache=False).logits

    return forward


def step_of(model):
    return last_position(logits_of(model))


def prompts(seed, batch=5, seq=4):
    return torch.randint(VOCAB - 1, (batch, seq), generator=torch.Generator().manual_seed(seed))


def reference(model, ids, max_new, eos=None, **options):
    """What transformers generates."""
    options = {"attention_mask": torch.ones_like(ids), "do_sample": False, **options}
    with torch.no_grad():
        return model.generate(ids, max_new_tokens=max_new, eos_token_id=eos, pad_token_id=PAD, **options)


def reachable_eos(model, ids):
    """The token that greedy search writes most often, so that some rows end early and others do not."""
    written = generate(step_of(model), ids, 8)[:, ids.shape[1] :]
    return int(written[written != PAD].bincount().argmax())


def ends(ids, start, eos):
    """Where each row ends, for a test to see that its rows end at different places."""
    return {row.index(eos) if eos in row else None for row in ids[:, start:].tolist()}


@pytest.mark.parametrize("seed", range(3))
def test_greedy_is_transformers_token_for_token_with_rows_that_end_at_different_places(models, seed):
    model, ids = models[seed], prompts(seed)
    eos = reachable_eos(model, ids)
    mine = generate(step_of(model), ids, 12, eos=eos, pad=PAD)
    assert mine.tolist() == reference(model, ids, 12, eos).tolist()
    assert len(ends(mine, ids.shape[1], eos)) > 1


def test_prompts_of_different_lengths_give_what_each_gives_alone_and_what_transformers_gives(models):
    rows = [[3, 9, 4], [7], [5, 1, 2, 8, 11], [6, 6]]
    ids, mask = pad_left(rows, PAD)
    for model in models:
        mine = generate(step_of(model), ids, 10, attention_mask=mask)
        assert mine.tolist() == reference(model, ids, 10, attention_mask=mask.long()).tolist()
        for number, row in enumerate(rows):
            alone = generate(step_of(model), torch.tensor([row]), 10)
            assert mine[number, ids.shape[1] :].tolist() == alone[0, len(row) :].tolist()


def test_beam_search_behind_prompts_of_different_lengths_is_transformers(models):
    ids, mask = pad_left([[3, 9, 4], [7], [5, 1, 2, 8, 11], [6, 6]], PAD)
    for model in models:
        eos = reachable_eos(model, ids)
        mine, _ = beam_generate(step_of(model), ids, 3, 8, eos, PAD, attention_mask=mask)
        assert mine.tolist() == reference(model, ids, 8, eos, num_beams=3, attention_mask=mask.long()).tolist()


@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize("alpha", [-0.5, 0.0, 0.7, 1.0, 2.0])
def test_beam_search_is_transformers_token_for_token(models, alpha, early_stopping):
    ended = set()
    for seed, model in enumerate(models):
        ids = prompts(seed + 10)
        for n_beams, eos in ((2, reachable_eos(model, ids)), (3, None), (4, reachable_eos(model, ids)), (5, 3)):
            mine, scores = beam_generate(
                step_of(model), ids, n_beams, 8, eos, PAD, alpha, early_stopping=early_stopping
            )
            options = {"num_beams": n_beams, "length_penalty": alpha, "early_stopping": early_stopping}
            theirs = reference(model, ids, 8, eos, **options, return_dict_in_generate=True, output_scores=True)
            assert mine.tolist() == theirs.sequences.tolist(), (seed, n_beams, eos)
            torch.testing.assert_close(scores, theirs.sequences_scores, rtol=1e-5, atol=1e-5)
            ended |= ends(mine, ids.shape[1], eos)
    assert len(ended) > 1


def test_beam_search_with_processors_is_transformers(models):
    for model in models:
        ids = prompts(4)
        eos = reachable_eos(model, ids)
        plain, _ = beam_generate(step_of(model), ids, 3, 9, eos, PAD)
        rules = [RepetitionPenalty(1.4), NoRepeatNgram(2), MinLength(ids.shape[1] + 3, eos)]
        mine, _ = beam_generate(step_of(model), ids, 3, 9, eos, PAD, processors=rules)
        options = {"num_beams": 3, "repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "min_new_tokens": 3}
        assert mine.tolist() == reference(model, ids, 9, eos, **options).tolist()
        assert mine.tolist() != plain.tolist()


def test_greedy_with_processors_is_transformers(models):
    for model in models:
        ids = prompts(5)
        rules = [Bias({2: 1.5, 7: -2.0}), RepetitionPenalty(1.3), NoRepeatNgram(3)]
        mine = generate(step_of(model), ids, 20, processors=rules)
        options = {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3, "sequence_bias": [[[2], 1.5], [[7], -2.0]]}
        assert mine.tolist() == reference(model, ids, 20, **options).tolist()


@pytest.mark.parametrize("gamma", [1, 3, 5])
def test_speculative_at_temperature_0_is_transformers_assisted_generation_and_its_greedy_one(models, gamma):
    rng = torch.Generator().manual_seed(0)
    for seed, model in enumerate(models):
        with torch.no_grad():
            draft = gpt(seed)
            for weight in draft.parameters():  # a draft that is often right, and often wrong
                weight.add_(0.05 * torch.randn(weight.shape, generator=rng))
        ids = prompts(seed, batch=1)
        for eos in (None, reachable_eos(model, ids)):
            pair = [distributions_of(logits_of(model), 0.0), distributions_of(logits_of(draft), 0.0)]
            mine, calls = speculative_decode(*pair, ids[0], gamma, 20, rng, eos)
            assert mine.tolist() == reference(model, ids, 20, eos)[0].tolist()
            options = {"assistant_model": draft, "num_assistant_tokens": gamma}
            assert mine.tolist() == reference(model, ids, 20, eos, **options)[0].tolist()
            rounds = list(speculative_rounds(*pair, ids[0], gamma, 20, rng, eos))
            assert calls == len(rounds)
            assert eos is not None or 0 < sum(one.accepted for one in rounds) < sum(one.drafted for one in rounds)


def assert_same_distribution(mine, theirs):
    torch.testing.assert_close(mine.softmax(-1), theirs.softmax(-1), rtol=1e-5, atol=1e-6)
    assert torch.equal(mine == -math.inf, theirs == -math.inf)


def random_logits(seed, batch=4, vocab=57):
    return 3 * torch.randn(vocab, batch, generator=torch.Generator().manual_seed(seed)).T  # not contiguous


def cases():
    """Pairs of processors that should agree, for several values each."""
    for temperature in (0.3, 1.0, 2.5):
        yield Temperature(temperature), transformers.TemperatureLogitsWarper(temperature)
    for top_k in (1, 2, 20, 57, 99):
        yield TopK(top_k), transformers.TopKLogitsWarper(top_k)
    for top_p in (0.01, 0.3, 0.9, 0.999):
        yield TopP(top_p), transformers.TopPLogitsWarper(top_p)
    for penalty in (0.6, 1.0, 1.7):
        yield RepetitionPenalty(penalty), transformers.RepetitionPenaltyLogitsProcessor(penalty)
    for n in (1, 2, 3, 9, 30):
        yield NoRepeatNgram(n), transformers.NoRepeatNGramLogitsProcessor(n)
    for length in (24, 25, 26):
        yield MinLength(length, eos=4), transformers.MinLengthLogitsProcessor(length, 4)


@pytest.mark.parametrize(("mine", "theirs"), list(cases()), ids=lambda rule: str(rule).split()[0])
def test_each_processor_is_that_of_transformers(mine, theirs):
    ids = torch.randint(3, (4, 25), generator=torch.Generator().manual_seed(3))
    for seed in range(4):
        logits = random_logits(seed)
        assert_same_distribution(mine(ids, logits), theirs(ids, logits))


def test_a_chain_of_processors_is_that_of_transformers():
    ids = torch.randint(57, (4, 25), generator=torch.Generator().manual_seed(3))
    mine = chain([RepetitionPenalty(1.3), Temperature(0.8), TopK(12), TopP(0.85)])
    theirs = transformers.LogitsProcessorList(
        [
            transformers.RepetitionPenaltyLogitsProcessor(1.3),
            transformers.TemperatureLogitsWarper(0.8),
            transformers.TopKLogitsWarper(12),
            transformers.TopPLogitsWarper(0.85),
        ]
    )
    for seed in range(4):
        logits = random_logits(seed)
        assert_same_distribution(mine(ids, logits), theirs(ids, logits))


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(0.6, 9, 0.8), (1.7, 30, 0.5), (1.0, 57, 1.0)])
def test_what_sample_draws_from_is_what_transformers_draws_from(temperature, top_k, top_p):
    warpers = [
        transformers.TemperatureLogitsWarper(temperature),
        transformers.TopKLogitsWarper(top_k),
        transformers.TopPLogitsWarper(top_p),
    ]
    for seed in range(4):
        logits = random_logits(seed)
        warped = transformers.LogitsProcessorList(warpers)(None, logits).softmax(-1)
        torch.testing.assert_close(distribution(logits, temperature, top_k, top_p), warped, rtol=1e-5, atol=1e-6)
