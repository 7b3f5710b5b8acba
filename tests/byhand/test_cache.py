"""The cache: what is filled, who moves, what is taken back, what it costs, and steps that equal the whole."""

from dataclasses import replace

import pytest
import torch
from byhand import decoding
from byhand.gpt import GPT, GPTConfig
from byhand.inference import (
    KVCache,
    attention_cost,
    cached_length,
    generate_cached,
    kv_bytes,
    kv_step,
    padded_prefill,
    reorder_cache,
    truncate_cache,
)

CONFIG = GPTConfig(vocab_size=29, max_seq=17, d_model=12, n_layers=2, n_heads=3, d_ff=20)


def make(**changes) -> GPT:
    gpt = GPT(replace(CONFIG, **changes), torch.Generator().manual_seed(5)).double().eval()
    with torch.no_grad():
        for parameter in gpt.parameters():  # far from the initial weights, so that every part matters
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    return gpt.requires_grad_(False)


@pytest.fixture
def gpt() -> GPT:
    return make()


def random_ids(*shape, seed=0):
    return torch.randint(CONFIG.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("positions", ["learned", "rotary", "sinusoidal"])
@pytest.mark.parametrize("pieces", [[10], [1] * 10, [4, 1, 3, 2], [3, 7]])
def test_any_cutting_into_steps_gives_the_states_of_the_whole(positions, pieces):
    gpt, ids = make(positions=positions), random_ids(2, 10)
    whole = gpt.hidden(ids)
    cache = {}
    torch.testing.assert_close(
        torch.cat([kv_step(piece, cache, gpt) for piece in ids.split(pieces, dim=1)], dim=1),
        whole,
        rtol=0,
        atol=1e-10,
    )
    cache = {}
    single = torch.cat([kv_step(piece, cache, gpt) for piece in ids[1].split(pieces)])
    torch.testing.assert_close(single, whole[1], rtol=0, atol=1e-10)
    assert cached_length(cache) == 10


def test_steps_refuse_more_than_the_model_has_positions_for(gpt):
    cache = {}
    kv_step(random_ids(15), cache, gpt)
    with pytest.raises(ValueError, match=r"15 tokens are cached and 3 came.*begin with an empty cache"):
        kv_step(random_ids(3), cache, gpt)
    with pytest.raises(ValueError, match="0 came"):
        kv_step(random_ids(0), cache, gpt)
    with pytest.raises(ValueError, match="the vocabulary from 0 to 28"):
        kv_step(torch.tensor([29]), cache, gpt)
    assert cached_length(cache) == 15


def test_generation_with_the_cache_equals_generation_without_and_feeds_each_token_once(gpt):
    prefix = random_ids(3, 4)
    without = decoding.generate(decoding.last_position(gpt), prefix, max_new=9, eos=7)
    fed = []
    handle = gpt.token_embedding.register_forward_hook(lambda module, inputs, out: fed.append(inputs[0].shape[1]))
    assert torch.equal(generate_cached(gpt, prefix, max_new=9, eos=7), without)
    handle.remove()
    assert fed == [4] + [1] * (without.shape[1] - 5)


@pytest.mark.parametrize("positions", ["learned", "rotary", "sinusoidal"])
def test_prompts_of_different_lengths_together_equal_each_one_alone(positions):
    gpt = make(positions=positions)
    prompts = [random_ids(size, seed=size) for size in (5, 1, 8)]
    cache = {}
    together = padded_prefill(prompts, gpt, cache)
    for row, prompt in enumerate(prompts):
        torch.testing.assert_close(together[row], gpt(prompt[None])[0, -1], rtol=0, atol=1e-10)
    # and so it goes on, one token and two
    later = random_ids(3, 3, seed=9)
    states = torch.cat([kv_step(later[:, :1], cache, gpt), kv_step(later[:, 1:], cache, gpt)], dim=1)
    for row, prompt in enumerate(prompts):
        alone = gpt.hidden(torch.cat([prompt, later[row]])[None])[0, -3:]
        torch.testing.assert_close(states[row], alone, rtol=0, atol=1e-10)


def test_padded_prompts_can_be_reordered_and_cut_too(gpt):
    prompts = [random_ids(size, seed=size) for size in (2, 6)]
    cache = {}
    padded_prefill(prompts, gpt, cache)
    kv_step(random_ids(2, 1), cache, gpt)
    cache = truncate_cache(reorder_cache(cache, torch.tensor([1, 1, 0])), 6)
    assert cache["attention_mask"].tolist() == [[True] * 6, [True] * 6, [False] * 4 + [True] * 2]
    states = kv_step(torch.tensor([[3], [4], [5]]), cache, gpt)
    for row, prompt, token in ((0, prompts[1], 3), (1, prompts[1], 4), (2, prompts[0], 5)):
        alone = gpt.hidden(torch.cat([prompt, torch.tensor([token])])[None])[0, -1:]
        torch.testing.assert_close(states[row], alone, rtol=0, atol=1e-10)


def test_prefill_wants_an_empty_cache_and_prompts_that_hold_something(gpt):
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        padded_prefill([[1], []], gpt, {})
    cache = {}
    padded_prefill([[1, 2]], gpt, cache)
    with pytest.raises(ValueError, match="holds 2 tokens already"):
        padded_prefill([[1]], gpt, cache)


def test_reordering_moves_keys_and_values_together_and_leaves_the_old_cache_alone(gpt):
    ids = random_ids(3, 4)
    cache = {}
    kv_step(ids, cache, gpt)
    kept = [tensor.clone() for tensor in cache["keys"] + cache["values"]]
    moved = reorder_cache(cache, torch.tensor([2, 0, 0, 1]))
    later = random_ids(4, 2, seed=3)
    states = kv_step(later, moved, gpt)
    whole = gpt.hidden(torch.cat([ids[[2, 0, 0, 1]], later], dim=1))[:, 4:]
    torch.testing.assert_close(states, whole, rtol=0, atol=1e-10)
    assert all(torch.equal(a, b) for a, b in zip(kept, cache["keys"] + cache["values"], strict=True))


def test_reordering_to_the_same_order_copies_nothing(gpt):
    cache = {}
    kv_step(random_ids(3, 4), cache, gpt)
    same = reorder_cache(cache, torch.arange(3))
    assert [tensor.data_ptr() for tensor in same["keys"]] == [tensor.data_ptr() for tensor in cache["keys"]]
    with pytest.raises(ValueError, match="rows 0 to 2"):
        reorder_cache(cache, torch.tensor([0, 3]))


@pytest.mark.parametrize("length", [0, 1, 4, 6])
def test_a_cut_cache_goes_on_as_if_the_rest_had_never_been(gpt, length):
    ids, later = random_ids(2, 6), random_ids(2, 3, seed=4)
    cache = {}
    kv_step(ids, cache, gpt)
    states = kv_step(later, truncate_cache(cache, length), gpt)
    whole = gpt.hidden(torch.cat([ids[:, :length], later], dim=1))[:, length:]
    torch.testing.assert_close(states, whole, rtol=0, atol=1e-10)
    assert cached_length(cache) == 6
    with pytest.raises(ValueError, match="holds 6; give 0 to 6"):
        truncate_cache(cache, 7)


def small_cache(**changes) -> KVCache:
    sizes = {"n_layers": 2, "batch": 4, "n_heads": 3, "capacity": 6, "head_dim": 5, **changes}
    return KVCache(**sizes)


def random_states(batch, seq, seed=0):
    return torch.randn(2, 2, batch, 3, seq, 5, generator=torch.Generator().manual_seed(seed))


def test_what_is_appended_stands_behind_what_was_there():
    cache, (first, second) = small_cache(), (random_states(2, 1), random_states(2, 3, seed=1))
    for keys, values in (first, second):
        cache.append(keys, values)
    assert (cache.length, cache.batch) == (4, 2)
    assert torch.equal(cache.keys, torch.cat([first[0], second[0]], dim=3))
    assert torch.equal(cache.values, torch.cat([first[1], second[1]], dim=3))


def test_a_full_cache_says_how_to_get_a_longer_one_and_stays_as_it_is():
    cache = small_cache()
    cache.append(*random_states(2, 5))
    with pytest.raises(ValueError, match=r"5 tokens and 2 more do not fit into a cache of 6.*max_seq=7"):
        cache.extend(batch=2, seq=2)
    assert cache.length == 5
    cache.extend(batch=2, seq=1)
    assert cache.length == 6


def test_rows_may_change_only_while_the_cache_is_empty():
    cache = small_cache()
    with pytest.raises(ValueError, match=r"room for 4 rows, got 5.*batch=5"):
        cache.extend(batch=5, seq=1)
    cache.append(*random_states(2, 2))
    with pytest.raises(ValueError, match="holds 2 rows, got 3"):
        cache.extend(batch=3, seq=1)
    cache.truncate(0)
    cache.append(*random_states(3, 2))
    assert cache.batch == 3


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2], [2, 2, 0], [0, 0, 1, 2], [1]])
def test_rows_hold_what_the_named_rows_held_also_when_they_swap(order):
    cache = small_cache()
    keys, values = random_states(3, 4)
    cache.append(keys, values)
    cache.reorder(torch.tensor(order))
    assert torch.equal(cache.keys, keys[:, order])
    assert torch.equal(cache.values, values[:, order])
    assert cache.batch == len(order)


def test_the_identity_writes_nothing_and_other_orders_only_what_is_filled():
    cache = small_cache()
    cache.append(*random_states(3, 2))
    cache.truncate(2)
    before, version = cache._storage.clone(), cache._storage._version
    cache.reorder([0, 1, 2])
    assert cache._storage._version == version
    beyond = cache._storage[:, :, :, :, 2:]
    beyond.fill_(7.0)
    cache.reorder([2, 1, 0])
    assert (beyond == 7).all()
    assert torch.equal(cache._storage[:, :, [2, 1, 0], :, :2], before[:, :, :3, :, :2])


def test_beams_of_one_prompt_copy_only_what_came_since_they_parted():
    generator = torch.Generator().manual_seed(6)
    for trial in range(30):
        cache = small_cache(capacity=40)
        expected = random_states(1, 9, seed=trial)
        cache.append(*expected)
        rows = 1
        for step in range(12):
            order = torch.randint(rows, (int(torch.randint(1, 5, (), generator=generator)),), generator=generator)
            cache.reorder(order)
            rows, expected = len(order), expected[:, :, order]
            if step == 6:
                cache.truncate(8 if trial % 2 else 11)
                expected = expected[..., : cache.length, :]
            more = random_states(rows, 1, seed=100 * trial + step)
            cache.append(*more)
            expected = torch.cat([expected, more], dim=4)
            assert torch.equal(cache.keys, expected[0])
            assert torch.equal(cache.values, expected[1])
    cache = small_cache()
    cache.append(*random_states(1, 4))
    cache.reorder([0, 0])
    cache.append(*random_states(2, 1))
    cache._storage[:, :, 0, :, :4] = 7.0  # would be copied if it were not common
    cache.reorder([0, 0])
    assert not (cache.keys[:, 1] == 7).any()
    cache.truncate(0)
    cache.append(*random_states(2, 3, seed=3))  # other prompts have nothing in common
    cache.reorder([1, 0])
    assert torch.equal(cache.keys, random_states(2, 3, seed=3)[0][:, [1, 0]])


def test_reordering_refuses_rows_that_are_not_in_use_and_more_than_there_is_room_for():
    cache = small_cache()
    cache.append(*random_states(2, 2))
    for order in ([0, 2], [-1, 0], []):
        with pytest.raises(ValueError, match="rows 0 to 1"):
            cache.reorder(order)
    with pytest.raises(ValueError, match=r"room for 4 rows, got 5.*batch=5"):
        cache.reorder([0, 0, 1, 1, 0])


def test_cutting_forgets_the_end_and_can_give_nothing_back():
    cache = small_cache()
    keys, values = random_states(2, 5)
    cache.append(keys, values)
    cache.truncate(3)
    assert torch.equal(cache.keys, keys[:, :, :, :3])
    more = random_states(2, 1, seed=8)
    cache.append(*more)
    assert torch.equal(cache.values, torch.cat([values[:, :, :, :3], more[1]], dim=3))
    for length in (5, -1):
        with pytest.raises(ValueError, match=f"cannot keep {length} tokens: the cache holds 4"):
            cache.truncate(length)


def test_a_cache_of_no_size_is_refused():
    with pytest.raises(ValueError, match="capacity must be at least 1, got 0"):
        small_cache(capacity=0)


def test_bytes_are_those_of_a_real_cache():
    cache = small_cache(n_layers=3, batch=2)
    assert kv_bytes(3, 3, 5, 6, 2, 4) == cache.nbytes
    assert kv_bytes(96, 96, 128, 1, 1, 2) == 4_718_592  # GPT-3: 4.72 MB a token
    with pytest.raises(ValueError, match="0 or more"):
        kv_bytes(1, 1, 1, -1, 1, 2)


def test_costs_are_the_multiply_adds_of_an_instrumented_layer():
    from byhand.attention import attention
    from torch.utils.flop_counter import FlopCounterMode

    d_model, seq = 12, 7
    weights = torch.randn(4, d_model, d_model)

    def layer(new, keys, values):
        query, key, value = (new @ weights[i] for i in range(3))
        key, value = torch.cat([keys, key]), torch.cat([values, value])
        out, _ = attention(*(x[None, None] for x in (query, key, value)))
        return out[0, 0] @ weights[3]

    def counted(new, past):
        with FlopCounterMode(display=False) as counter:
            for _ in range(5):
                layer(torch.randn(new, d_model), *torch.randn(2, past, d_model))
        return counter.get_total_flops()

    assert attention_cost(seq, d_model, 5, cached=True)["flops"] == counted(1, seq - 1)
    assert attention_cost(seq, d_model, 5, cached=False)["flops"] == counted(seq, 0)


def test_costs_cross_at_twice_the_width_and_grow_straight_with_the_cache_only():
    def flops(seq, cached):
        return attention_cost(seq, 64, 1, cached)["flops"]

    projections = 2 * flops(1, True) - flops(2, True)
    assert flops(2 * 64, True) == 2 * projections  # products as dear as projections
    assert flops(30, True) - flops(20, True) == flops(20, True) - flops(10, True)
    assert flops(30, False) - flops(20, False) > flops(20, False) - flops(10, False)
    assert attention_cost(9, 64, 3, cached=True)["bytes"] == kv_bytes(3, 4, 16, 9, 1, 4)
    assert attention_cost(9, 64, 3, cached=False)["bytes"] == 0
    with pytest.raises(ValueError, match="at least 1"):
        attention_cost(0, 64, 1, cached=True)
