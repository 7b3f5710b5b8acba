"""Attention: what it may not see, what it must not change, and that both of its forms agree."""

import inspect
import math

import pytest
import torch
from byhand.attention import MultiHeadAttention, attention, cross_attention
from byhand.masks import causal_mask, padding_mask
from byhand.positions import RotaryPositions

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture
def triple():
    """Query, key and value with every size different, none of them contiguous."""
    query = draw(2, 5, 3, 4, seed=1).transpose(1, 2)  # (batch 2, heads 3, queries 5, head_dim 4)
    key = draw(2, 7, 3, 4, seed=2).transpose(1, 2)
    value = draw(2, 7, 3, 6, seed=3).transpose(1, 2)
    return query, key, value


def layer(d_model=12, n_heads=3, seed=4, dtype=torch.float64, **settings):
    made = MultiHeadAttention(d_model, n_heads, **settings)
    with torch.no_grad():
        for place, parameter in enumerate(made.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=seed + place) / math.sqrt(d_model))
    return made.to(dtype)


def test_attention_is_the_definition_row_by_row(triple):
    query, key, value = triple
    out, weights = attention(query, key, value)
    assert out.shape == (2, 3, 5, 6)
    assert weights.shape == (2, 3, 5, 7)
    for row in range(5):
        scores = [math.exp(query[1, 2, row].dot(key[1, 2, place]) / 2) for place in range(7)]
        by_hand = sum(score * value[1, 2, place] for place, score in enumerate(scores)) / sum(scores)
        torch.testing.assert_close(out[1, 2, row], by_hand, **EXACT)


def test_forbidden_keys_get_weight_exactly_zero_and_the_rest_sums_to_one(triple):
    mask = torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(5)) < 0.5
    mask[..., 0] = True
    _, weights = attention(*triple, mask=mask)
    assert (weights[~mask.expand_as(weights)] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5, dtype=torch.float64), **EXACT)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_query_that_may_look_at_nothing_gets_zeros_and_finite_gradients(triple, dtype):
    mask = torch.ones(2, 1, 5, 7, dtype=torch.bool)
    mask[0, 0, 2] = False
    query, key, value = (x.to(dtype).requires_grad_() for x in triple)
    out, weights = attention(query, key, value, mask)
    assert (out[0, :, 2] == 0).all()
    assert (weights[0, :, 2] == 0).all()
    for gradient in torch.autograd.grad(out.sum(), (query, key, value)):
        assert torch.isfinite(gradient).all()
    made = layer(dtype=dtype, bias=False)
    x = draw(2, 5, 12).to(dtype).requires_grad_()
    blind = mask[..., :5]
    assert (made(x, mask=blind)[0, 2] == 0).all()
    assert torch.isfinite(made(x, mask=blind)).all()
    zeros = torch.zeros(1, 1, 5, 5, dtype=dtype)  # with a bias, by another kernel
    torch.testing.assert_close(made(x, mask=blind, bias=zeros), made(x, mask=blind), rtol=0.02, atol=0.02)
    for settings in ({}, {"bias": zeros}):
        for gradient in torch.autograd.grad(made(x, mask=blind, **settings).sum(), [x, *made.parameters()]):
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("settings", [{}, {"head_dim": 5, "bias": False}, {"scale": 1.0}])
@pytest.mark.parametrize("call", ["plain", "mask", "bias", "causal", "causal and mask", "all"])
def test_the_layer_by_its_kernels_equals_the_definition(dtype, memory, settings, call):
    made = layer(dtype=dtype, **settings)
    x, source = draw(2, 5, 12, seed=8).to(dtype), draw(2, 7, 12, seed=9).to(dtype) if memory else None
    total = 7 if memory else 5
    mask = torch.rand(2, 1, 1, total, generator=torch.Generator().manual_seed(3)) < 0.6
    mask[0] = False
    mask = mask if call in ("mask", "causal and mask", "all") else None
    bias = draw(1, 3, 5, total, seed=10).to(dtype) if call in ("bias", "all") else None
    causal = "causal" in call or call == "all"

    states = x if source is None else source
    heads = [
        projection(y).unflatten(-1, (3, -1)).transpose(1, 2)
        for projection, y in ((made.query, x), (made.key, states), (made.value, states))
    ]
    allowed = causal_mask(5, total) if causal else torch.ones(5, total, dtype=torch.bool)
    allowed = allowed if mask is None else allowed & mask
    gathered, _ = attention(*heads, mask=allowed, bias=bias, scale=made.scale)
    expected = made.output(gathered.transpose(1, 2).flatten(2))
    got = made(x, source, mask=mask, bias=bias, causal=causal)
    tolerance = EXACT if dtype == torch.float64 else {"rtol": 0.05, "atol": 0.05}
    torch.testing.assert_close(got, expected, **tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_changed_future_leaves_the_past_bit_equal(dtype):
    made = layer(dtype=dtype)
    x = draw(2, 9, 12, seed=6).to(dtype)
    changed = x.clone()
    changed[:, 5:] = 40 * draw(2, 4, 12, seed=7).to(dtype)
    for settings in ({}, {"mask": torch.ones(2, 1, 1, 9, dtype=torch.bool)}):
        before, after = made(x, causal=True, **settings), made(changed, causal=True, **settings)
        assert torch.equal(before[:, :5], after[:, :5])
        assert not torch.equal(before[:, 5:], after[:, 5:])


def test_the_first_token_under_a_causal_mask_sees_itself_alone():
    made = layer()
    x = draw(2, 4, 12)
    torch.testing.assert_close(made(x, causal=True)[:, 0], made.output(made.value(x[:, 0])), **EXACT)


def test_without_positions_permuted_tokens_give_permuted_outputs():
    made = layer()
    x, order = draw(2, 6, 12), torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(made(x[:, order]), made(x)[:, order], **EXACT)
    assert not torch.allclose(made(x[:, order], causal=True), made(x, causal=True)[:, order])


def test_a_batch_of_ragged_rows_equals_the_rows_one_by_one():
    made, lengths = layer(), [6, 1, 4]
    x = draw(3, 6, 12)
    batched = made(x, mask=padding_mask(torch.arange(6) < torch.tensor(lengths)[:, None]))
    for row, length in enumerate(lengths):
        torch.testing.assert_close(batched[row, :length], made(x[row : row + 1, :length])[0], **EXACT)


def test_rotation_makes_the_layer_depend_on_distances_only():
    made = layer(n_heads=3, d_model=12)
    x, rotary = draw(2, 5, 12), RotaryPositions(head_dim=4)
    here = made(x, rotate=rotary.at(torch.arange(5)))
    torch.testing.assert_close(made(x, rotate=rotary.at(torch.arange(5) + 11)), here, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(made(x), here)


def test_dropout_acts_in_training_only_and_keeps_the_mean():
    made, x = layer(dropout=0.5), draw(1, 5, 12)
    plain = made.eval()(x)
    assert torch.equal(made(x), plain)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        drawn = torch.stack([made.train()(x) for _ in range(800)])
    assert not torch.equal(drawn[0], drawn[1])
    assert (drawn.mean(0) - plain).abs().max() < 6 * (drawn.std(0) / math.sqrt(800)).max()


def test_inputs_are_left_alone(triple):
    copies = [x.clone() for x in triple]
    bias = draw(1, 3, 5, 7)
    kept = bias.clone()
    attention(*triple, mask=causal_mask(5, 7), bias=bias)
    assert all(torch.equal(x, copy) for x, copy in zip(triple, copies, strict=True))
    assert torch.equal(bias, kept)
    made, x = layer(dtype=torch.bfloat16), draw(2, 5, 12).bfloat16()
    before = x.clone()
    made(x, causal=True, bias=draw(1, 3, 5, 5).bfloat16())
    assert torch.equal(x, before)


def test_cross_attention_queries_with_the_decoder_and_skips_the_encoders_padding():
    weights = {name: draw(6, 6, seed=place) for place, name in enumerate(("query", "key", "value", "output"))}
    decoder, encoder = draw(2, 3, 6, seed=11), draw(2, 5, 6, seed=12)
    mask = torch.tensor([[True] * 5, [True, True, False, True, False]])
    out = cross_attention(decoder, encoder, weights, mask)
    kept = encoder[1:, mask[1]]
    scores = decoder[1:] @ weights["query"] @ (kept @ weights["key"]).transpose(1, 2) / math.sqrt(6)
    expected = scores.softmax(-1) @ kept @ weights["value"] @ weights["output"]
    torch.testing.assert_close(out[1:], expected, **EXACT)
    changed = encoder.clone()
    changed[1, 4] = 1e6
    assert torch.equal(cross_attention(decoder, changed, weights, mask), out)
    changed[0, 4] = 9.0  # the last token of an encoder is seen from the first place of the decoder
    assert not torch.allclose(cross_attention(decoder, changed, weights, mask)[0, 0], out[0, 0])


def test_attention_says_what_is_wrong_with_mask_keys_and_heads(triple):
    query, key, value = triple
    with pytest.raises(ValueError, match="no key to attend to"):
        attention(query, key[:, :, :0], value[:, :, :0])
    with pytest.raises(ValueError, match="d_model=10 cannot be cut into n_heads=3; choose a divisor"):
        MultiHeadAttention(10, 3)
    with pytest.raises(ValueError, match="n_heads=0"):
        MultiHeadAttention(10, 0)
    number = torch.zeros(5, 7)
    with pytest.raises(TypeError, match=r"mask must be bool .* got torch.float32; `bias` adds to the scores"):
        inspect.unwrap(attention)(query, key, value, mask=number)
    with pytest.raises(TypeError, match="mask must be bool"):
        inspect.unwrap(MultiHeadAttention.forward)(layer(), draw(2, 5, 12), mask=number)
