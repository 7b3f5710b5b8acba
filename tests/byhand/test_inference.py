"""The engine: any cutting equals the whole, forms of weights, generation, beams and speculation with a cache."""

import itertools
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from byhand import decoding
from byhand.gpt import GPT, GPTConfig
from byhand.inference import beam_search, cached_step, generate, prepare, speculate, speculate_rounds, stream
from byhand.inference.weights import form, full, half, int8, plain

CONFIG = GPTConfig(vocab_size=37, max_seq=24, d_model=24, n_layers=3, n_heads=4, d_ff=40)
EXACT = {"rtol": 0, "atol": 1e-10}


def make(seed=5, dtype=torch.float64, **changes) -> GPT:
    gpt = GPT(replace(CONFIG, **changes), torch.Generator().manual_seed(seed)).to(dtype).eval()
    for parameter in gpt.parameters():  # far from the initial weights, so that every part matters
        noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
        parameter.data.add_(noise.to(dtype) * 0.3)
    return gpt.requires_grad_(False)


def random_ids(*shape, seed=0):
    return torch.randint(CONFIG.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"positions": "rotary", "activation": "relu"},
        {"positions": "sinusoidal", "activation": "gated_gelu"},
        {"bias": False, "tied": False, "activation": "gelu"},
    ],
    ids=["learned", "rotary", "sinusoidal", "untied"],
)
def test_any_cutting_into_calls_equals_the_whole(changes):
    gpt, ids = make(**changes), random_ids(3, 12)
    whole = gpt(ids)
    engine = prepare(gpt, batch=3)
    for pieces in ([12], [1] * 12, [4, 1, 3, 4], [3, 9]):
        engine.reset()
        end = 0
        for size in pieces:
            logits = engine.decode(ids[:, end : end + size])
            end += size
            torch.testing.assert_close(logits, whole[:, end - 1], **EXACT)


def test_single_precision_equals_the_whole_by_both_of_its_kernels():
    for n_rows in (1, 3):
        gpt, ids = make(dtype=torch.float32), random_ids(n_rows, 9)
        engine = prepare(gpt, batch=n_rows)
        torch.testing.assert_close(engine.prefill(ids[:, :5]), gpt(ids)[:, 4], rtol=1e-5, atol=1e-5)
        for place in range(5, 9):
            logits = engine.decode(ids[:, place : place + 1])
            torch.testing.assert_close(logits, gpt(ids)[:, place], rtol=1e-5, atol=1e-5)


def test_verify_gives_the_last_places_in_order():
    gpt, ids = make(), random_ids(2, 9)
    engine = prepare(gpt, batch=2)
    engine.prefill(ids[:, :4])
    torch.testing.assert_close(engine.verify(ids[:, 4:], 3), gpt(ids)[:, 6:], **EXACT)
    with pytest.raises(ValueError, match="2 tokens were fed, so ask for 1 to as many places, not 3"):
        engine.verify(ids[:, :2], 3)


def test_prefill_begins_anew_and_the_model_is_left_alone():
    gpt, ids = make(), random_ids(1, 6)
    before = {name: tensor.clone() for name, tensor in gpt.state_dict().items()}
    engine = prepare(gpt)
    first = engine.prefill(ids)
    engine.decode(ids[:, :3])
    assert torch.equal(engine.prefill(ids), first)
    first[0, 0] = math.inf  # the caller's own tensor: a processor may change it
    assert all(torch.equal(tensor, before[name]) for name, tensor in gpt.state_dict().items())


@pytest.mark.parametrize("positions", ["learned", "rotary", "sinusoidal"])
def test_prompts_of_different_lengths_together_equal_each_one_alone(positions):
    gpt = make(positions=positions)
    prompts = [random_ids(size, seed=size).tolist() for size in (5, 1, 8)]
    ids, mask = decoding.pad_left(prompts, pad=3)
    engine = prepare(gpt, batch=3)
    logits = [engine.prefill(ids, mask)]
    later = random_ids(3, 4, seed=9)
    logits += [engine.decode(later[:, :1]), engine.decode(later[:, 1:])]
    for row, prompt in enumerate(prompts):
        whole = gpt(torch.tensor([prompt + later[row].tolist()]))[0]
        for found, place in zip(logits, (-5, -4, -1), strict=True):
            torch.testing.assert_close(found[row], whole[place], **EXACT)
    engine.cache.truncate(9)
    engine.reorder(torch.tensor([2, 0, 0]))
    logits = engine.decode(later[[2, 0, 0], 1:2])
    for row, source in enumerate((2, 0, 0)):
        whole = gpt(torch.tensor([prompts[source] + later[source, :2].tolist()]))[0]
        torch.testing.assert_close(logits[row], whole[-1], **EXACT)


def test_padding_must_stand_on_the_left_and_leave_a_token():
    engine = prepare(make(), batch=2)
    ids = random_ids(2, 3)
    with pytest.raises(ValueError, match="on the left of each row"):
        engine.prefill(ids, torch.tensor([[True, True, True], [True, True, False]]))
    with pytest.raises(ValueError, match="nothing but padding"):
        engine.prefill(ids, torch.tensor([[True, True, True], [False, False, False]]))


def test_what_does_not_fit_is_refused_with_the_way_out_and_changes_nothing():
    engine = prepare(make(), max_seq=6)
    ids = random_ids(1, 6)
    engine.prefill(ids[:, :4])
    with pytest.raises(ValueError, match=r"4 tokens and 3 more do not fit into a cache of 6.*max_seq=7"):
        engine.decode(ids[:, :3])
    for wrong in ([[37]], [[-1]]):
        with pytest.raises(ValueError, match=r"the vocabulary from 0 to 36.*this model's tokenizer"):
            engine.decode(torch.tensor(wrong))
    with pytest.raises(ValueError, match="no token to feed"):
        engine.decode(ids[:, :0])
    assert engine.cache.length == 4
    with pytest.raises(ValueError, match=r"max_seq is 25, but the model has 24 positions"):
        prepare(make(), max_seq=25)
    with pytest.raises(ValueError, match="capacity must be at least 1, got 0"):
        prepare(make(), max_seq=0)
    with pytest.raises(ValueError, match="weights is 'fp8'; choose one of fp32, fp16, int8"):
        prepare(make(), weights="fp8")


def test_generation_refuses_before_the_first_token_what_would_not_fit_at_the_last():
    engine = prepare(make(), batch=2, max_seq=10)
    ids = random_ids(2, 4)
    assert generate(engine, ids, max_new=7).shape == (2, 11)  # the last token is never fed
    with pytest.raises(ValueError, match=r"4 tokens and 8 new ones do not fit into a cache of 10"):
        generate(engine, ids, max_new=8)
    with pytest.raises(ValueError, match=r"3 rows, the cache has room for 2: prepare the engine with batch=3"):
        beam_search(engine, ids[:1], n_beams=3, max_new=2)


# Forms of weights


@pytest.mark.parametrize("shape", [(32, 7), (33, 8), (5, 64), (96, 40)])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_every_form_of_float32_gives_the_product(shape, rows):
    generator = torch.Generator().manual_seed(shape[0])
    weight, bias = torch.randn(shape, generator=generator), torch.randn(shape[0], generator=generator)
    x = torch.randn(rows, shape[1], generator=generator)
    expected = x @ weight.T + bias
    for store in (plain, full):
        torch.testing.assert_close(store(weight, bias)(x), expected, rtol=1e-5, atol=1e-5)
    sixteen = weight.half().float()
    torch.testing.assert_close(half(sixteen, bias)(x), x @ sixteen.T + bias, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 4])
def test_int8_is_near_also_where_outputs_have_very_different_weights(rows):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(40, 64, generator=generator) * torch.logspace(-3, 1, 40)[:, None]
    weight[3] = 0
    bias, x = torch.randn(40, generator=generator), torch.randn(rows, 64, generator=generator)
    found, exact = int8(weight, bias)(x) - bias, x @ weight.T
    assert (found[:, 3] == 0).all()
    scale = weight.norm(dim=1).clamp(min=1e-9) * 8
    assert ((found - exact).abs() / scale).max() < 0.02  # each output by its own measure


@pytest.mark.parametrize("store", [half, int8])
def test_other_dtypes_and_builds_without_the_kernels_get_the_same_numbers(store, monkeypatch):
    generator = torch.Generator().manual_seed(3)
    weight, bias = torch.randn(10, 12, generator=generator), torch.randn(10, generator=generator)
    x = torch.randn(2, 12, generator=generator)
    fast, wide = store(weight, bias)(x), store(weight.double(), bias.double())(x.double())
    monkeypatch.delattr(torch, "fbgemm_pack_gemm_matrix_fp16")
    monkeypatch.delattr(torch, "fbgemm_pack_quantized_matrix")
    slow = store(weight, bias)(x)
    torch.testing.assert_close(slow, wide.float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(slow, fast, rtol=0, atol=1e-5 if store is half else 0.15)


def test_float16_refuses_weights_beyond_its_range():
    with pytest.raises(ValueError, match=r"1e\+06 is beyond float16's 65504: keep this model in fp32"):
        half(torch.full((2, 2), 1e6), torch.zeros(2))


def test_the_stored_weights_are_copies():
    weight, bias, x = torch.randn(6, 5), torch.randn(6), torch.randn(1, 5)
    for store in (plain, full, half, int8):
        product = store(weight, bias)
        before = product(x)
        kept = weight.clone(), bias.clone()
        weight.zero_(), bias.zero_()
        assert torch.equal(product(x), before)
        weight.copy_(kept[0]), bias.copy_(kept[1])


def test_any_function_can_be_the_form():
    gpt, ids = make(), random_ids(1, 5)
    seen = []

    def store(weight, bias):
        seen.append(tuple(weight.shape))
        return lambda x: torch.nn.functional.linear(x, weight, bias)

    assert form(store) is store
    torch.testing.assert_close(prepare(gpt, store).prefill(ids), gpt(ids)[:, -1], **EXACT)
    assert seen == [(72, 24), (24, 24), (40, 24), (24, 40)] * 3 + [(37, 24)]  # q, k and v are one


@pytest.mark.parametrize(("weights", "tolerance"), [("fp16", 0.02), ("int8", 0.5)])
def test_smaller_weights_give_nearly_the_same_logits(weights, tolerance):
    gpt, ids = make(dtype=torch.float32), random_ids(2, 8)
    found = prepare(gpt, weights, batch=2).prefill(ids)
    exact = gpt(ids)[:, -1]
    assert 0 < ((found - exact).norm() / exact.norm()) < tolerance


# Generation


@pytest.mark.parametrize("positions", ["learned", "rotary", "sinusoidal"])
def test_cached_generation_equals_uncached_for_ragged_batches_with_an_end(positions):
    gpt = make(positions=positions)
    ids, mask = decoding.pad_left([random_ids(size, seed=size).tolist() for size in (6, 2, 4)], pad=0)
    without = decoding.generate(decoding.last_position(gpt), ids, 12, eos=5, pad=1, attention_mask=mask)
    engine = prepare(gpt, batch=3)
    assert torch.equal(generate(engine, ids, 12, eos=5, pad=1, attention_mask=mask), without)
    streamed = list(stream(engine, ids, 12, eos=5, pad=1, attention_mask=mask))
    assert torch.equal(torch.stack(streamed, dim=1), without[:, 6:])


def test_sampling_with_processors_draws_the_same_tokens_with_the_cache():
    gpt, ids = make(), random_ids(2, 3)
    arguments = {"processors": [decoding.RepetitionPenalty(1.3), decoding.NoRepeatNgram(2)], "eos": 5}

    def sampler():
        return decoding.Sampler(torch.Generator().manual_seed(4), temperature=1.7, top_k=20, top_p=0.95)

    without = decoding.generate(decoding.last_position(gpt), ids, 14, sampler(), **arguments)
    engine = prepare(gpt, batch=2)
    assert torch.equal(generate(engine, ids, 14, sampler(), **arguments), without)
    streamed = list(stream(engine, ids, 14, sampler(), **arguments))
    assert torch.equal(torch.stack(streamed, dim=1), without[:, 3:])


def test_a_criterion_ends_the_text_with_the_cache_too():
    def stop(ids):
        return torch.full((len(ids),), ids.shape[1] == 7)

    engine, ids = prepare(make()), random_ids(1, 4)
    assert generate(engine, ids, 9, stop=stop).shape == (1, 7)
    assert len(list(stream(engine, ids, 9, stop=stop))) == 3


def test_a_stream_computes_no_further_than_it_is_read():
    engine = prepare(make())
    tokens = stream(engine, random_ids(1, 4), max_new=9)
    next(tokens)
    next(tokens)
    assert engine.cache.length == 5


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("n_beams", [1, 3, 4])
def test_beam_search_with_the_cache_equals_beam_search_without(n_beams, alpha):
    for seed in range(3):
        gpt, ids = make(seed), random_ids(2, 5, seed=seed)
        without, scores = decoding.beam_generate(decoding.last_position(gpt), ids, n_beams, 10, eos=5, alpha=alpha)
        found, found_scores = beam_search(prepare(gpt, batch=2 * n_beams), ids, n_beams, 10, eos=5, alpha=alpha)
        assert torch.equal(found, without)
        torch.testing.assert_close(found_scores, scores)


def test_beams_behind_prompts_of_different_lengths_move_with_their_padding():
    gpt = make()
    ids, mask = decoding.pad_left([random_ids(size, seed=size).tolist() for size in (6, 2, 4)], pad=0)
    without, _ = decoding.beam_generate(decoding.last_position(gpt), ids, 3, 8, eos=5, attention_mask=mask)
    found, _ = beam_search(prepare(gpt, batch=9), ids, 3, 8, eos=5, attention_mask=mask)
    assert torch.equal(found, without)


def test_a_step_made_for_one_text_begins_the_next_anew():
    gpt, ids = make(), random_ids(1, 4)
    engine = prepare(gpt)
    first = decoding.generate(cached_step(engine), ids, 5)
    assert torch.equal(decoding.generate(cached_step(engine), ids, 5), first)


# Speculation


def spoil(gpt: GPT, noise: float) -> GPT:
    """A draft: the same model with noise on its weights."""
    draft = GPT(gpt.config).to(torch.float64).eval().requires_grad_(False)
    draft.load_state_dict(gpt.state_dict())
    for number, parameter in enumerate(draft.parameters()):
        parameter.add_(noise * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return draft


@pytest.mark.parametrize(("gamma", "positions"), [(1, "learned"), (3, "rotary"), (5, "sinusoidal")])
def test_greedy_speculation_equals_greedy_and_goes_on_right_after_a_rejection(gamma, positions):
    gpt = make(positions=positions)
    target, prefix = prepare(gpt), random_ids(4)
    free = generate(target, prefix[None], 15)[0, 4:].tolist()
    for noise, eos in ((0.0, None), (0.0, free[4]), (0.05, free[7]), (0.1, None), (1.0, None)):
        expected = generate(target, prefix[None], 15, eos=eos)[0]
        rounds = list(speculate_rounds(target, prepare(spoil(gpt, noise)), prefix, gamma, 15, eos=eos))
        assert [token for each in rounds for token in each.tokens] == expected[4:].tolist()
        assert all(len(each.tokens) == each.accepted + 1 for each in rounds[:-1])
        if noise == 0.0 and eos is None:  # no guess is ever wrong
            assert all(each.accepted == each.drafted for each in rounds)
            assert len(rounds) == -(-15 // (gamma + 1))
            ids, calls = speculate(target, prepare(gpt), prefix, gamma, 15)
            assert torch.equal(ids, expected)
            assert calls == len(rounds)


def test_the_caches_hold_what_stands_after_every_round():
    gpt = make()
    target, draft = prepare(gpt), prepare(spoil(gpt, 0.1))
    prefix, ids = random_ids(4), random_ids(4).tolist()
    rejections = 0
    for each in speculate_rounds(target, draft, prefix, 3, 15):
        ids += each.tokens
        rejections += each.accepted < each.drafted
        for engine in (target, draft):
            length = engine.cache.length
            assert length <= len(ids) - 1
            again = prepare(gpt if engine is target else spoil(gpt, 0.1))
            again.prefill(torch.tensor([ids[:length]]))
            torch.testing.assert_close(engine.cache.keys, again.cache.keys, **EXACT)
            torch.testing.assert_close(engine.cache.values, again.cache.values, **EXACT)
        assert target.cache.length == len(ids) - 1
    assert rejections > 1


def test_speculative_sampling_keeps_the_joint_distribution_of_the_target():
    """Pearson's chi-square over all continuations of three tokens: rejected guesses, bonus tokens and all."""
    small = {"vocab_size": 3, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8, "max_seq": 8}
    gpt = make(3, **small)
    for parameter in gpt.parameters():
        parameter.mul_(0.5)
    target, draft = prepare(gpt), prepare(make(4, **small))
    prefix, settings = torch.tensor([1, 2]), {"temperature": 1.3, "top_p": 0.97}
    expected = {}
    for a, b, c in itertools.product(range(3), repeat=3):
        probs = decoding.distribution(gpt(torch.tensor([[1, 2, a, b]]))[0], **settings)
        expected[a, b, c] = float(probs[1, a] * probs[2, b] * probs[3, c])
    rng, n = torch.Generator().manual_seed(0), 700
    counts, accepted, drafted = Counter(), 0, 0
    for _ in range(n):
        tokens = []
        for each in speculate_rounds(target, draft, prefix, 2, 3, rng, **settings):
            tokens += each.tokens
            accepted, drafted = accepted + each.accepted, drafted + each.drafted
        counts[tuple(tokens)] += 1
    assert 0.2 < accepted / drafted < 0.9  # both branches were taken often
    assert all(expected[tokens] > 0 for tokens in counts)
    cells = [(counts[tokens], n * p) for tokens, p in expected.items() if n * p >= 5]
    rest = (n - sum(count for count, _ in cells), n - sum(mean for _, mean in cells))
    cells += [rest] if rest[1] > 1 else []
    chi2 = sum((count - mean) ** 2 / mean for count, mean in cells)
    freedom = len(cells) - 1
    # Wilson and Hilferty's approximation; 4.75 deviations are a probability of 1e-6
    deviation = ((chi2 / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    assert deviation < 4.75, f"chi-square {chi2:.1f} at {freedom} degrees of freedom"


def test_speculation_refuses_pairs_and_settings_that_cannot_work():
    target, draft = prepare(make()), prepare(make(6))
    prefix = random_ids(4)
    with pytest.raises(ValueError, match="the prefix is empty"):
        speculate(target, draft, prefix[:0], 3, 5)
    with pytest.raises(ValueError, match="gamma >= 1 guess a round and max_new >= 0, got gamma=0, max_new=5"):
        speculate(target, draft, prefix, 0, 5)
    with pytest.raises(ValueError, match="one engine, whose cache cannot hold both texts: prepare two"):
        speculate(target, target, prefix, 3, 5)
    with pytest.raises(ValueError, match=r"the draft has a vocabulary of 30, the target one of 37"):
        speculate(target, prepare(make(vocab_size=30)), prefix, 3, 5)
    with pytest.raises(ValueError, match=r"4 tokens and 18 new ones do not fit into a cache of 20"):
        speculate(target, prepare(make(6), max_seq=20), prefix, 3, 18)
    with pytest.raises(ValueError, match="temperature must be 0 or more"):
        speculate(target, draft, prefix, 3, 5, torch.Generator(), temperature=-1.0)
    unchanged, calls = speculate(target, draft, prefix, 3, 0)
    assert torch.equal(unchanged, prefix)
    assert calls == 0
    assert unchanged is not prefix
