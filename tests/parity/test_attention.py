"""Attention, positions, norms and embeddings are those of torch and transformers."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand.attention import MultiHeadAttention, attention
from byhand.blocks import LayerNorm, RMSNorm, gelu, layer_norm
from byhand.embedding import embed_onehot
from byhand.masks import causal_mask
from byhand.positions import RotaryPositions, relative_buckets
from torch import nn

EXACT = {"rtol": 1e-12, "atol": 1e-12}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("masked", ["nothing", "causal", "ragged", "bias"])
@pytest.mark.parametrize("scale", [None, 0.7])
def test_attention_and_its_gradients_are_torchs(masked, scale):
    inputs = [
        draw(2, 5, 3, 4, seed=1).transpose(1, 2).requires_grad_(),  # queries 5, head_dim 4, not contiguous
        draw(2, 7, 3, 4, seed=2).transpose(1, 2).requires_grad_(),  # keys 7
        draw(2, 3, 7, 6, seed=3).requires_grad_(),  # values of another width
    ]
    ragged = (torch.arange(7) < torch.tensor([7, 3])[:, None])[:, None, None]
    mask = {"causal": causal_mask(5, 7), "ragged": ragged}.get(masked)
    bias = draw(1, 3, 5, 7, seed=4) if masked == "bias" else None
    ours, _ = attention(*inputs, mask=mask, bias=bias, scale=scale)
    theirs = F.scaled_dot_product_attention(*inputs, attn_mask=bias if mask is None else mask, scale=scale)
    torch.testing.assert_close(ours, theirs, **EXACT)
    passed = draw(*ours.shape, seed=5)
    for mine, reference in zip(
        torch.autograd.grad(ours, inputs, passed), torch.autograd.grad(theirs, inputs, passed), strict=True
    ):
        torch.testing.assert_close(mine, reference, **EXACT)


@pytest.mark.parametrize(("d_model", "n_heads", "bias"), [(12, 3, True), (10, 1, False), (8, 8, True)])
@pytest.mark.parametrize("cross", [False, True])
def test_the_layer_with_copied_weights_is_torchs(d_model, n_heads, bias, cross):
    reference = nn.MultiheadAttention(d_model, n_heads, bias=bias, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for place, parameter in enumerate(reference.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=place) / 2)
    made = MultiHeadAttention(d_model, n_heads, bias=bias).double()
    with torch.no_grad():
        for place, layer in enumerate((made.query, made.key, made.value)):
            rows = slice(place * d_model, (place + 1) * d_model)
            layer.weight.copy_(reference.in_proj_weight[rows])
            if bias:
                layer.bias.copy_(reference.in_proj_bias[rows])
        made.output.load_state_dict(reference.out_proj.state_dict())

    x, memory = draw(2, 5, d_model, seed=8), draw(2, 7, d_model, seed=9)
    source = memory if cross else x
    allowed = torch.arange(source.shape[1]) < torch.tensor([source.shape[1], 4])[:, None]
    hidden = None if cross else ~causal_mask(5)  # torch's masks are True where attention is forbidden
    theirs, _ = reference(x, source, source, key_padding_mask=~allowed, attn_mask=hidden)
    ours = made(x, memory if cross else None, mask=allowed[:, None, None], causal=not cross)
    torch.testing.assert_close(ours, theirs, **EXACT)
    theirs.square().sum().backward()
    ours.square().sum().backward()
    stacked = torch.cat([layer.weight.grad for layer in (made.query, made.key, made.value)])
    torch.testing.assert_close(stacked, reference.in_proj_weight.grad, **EXACT)
    torch.testing.assert_close(made.output.weight.grad, reference.out_proj.weight.grad, **EXACT)


@pytest.mark.parametrize(("head_dim", "base"), [(8, 10000.0), (6, 500.0)])
def test_rotary_positions_are_llamas(head_dim, base):
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    config = LlamaConfig(hidden_size=3 * head_dim, num_attention_heads=3, rope_theta=base)
    config.rope_parameters = {"rope_type": "default", "rope_theta": base}
    query, key = draw(2, 3, 5, head_dim, dtype=torch.float32), draw(2, 3, 5, head_dim, seed=1, dtype=torch.float32)
    positions = torch.tensor([[0, 1, 2, 3, 4], [60, 61, 3, 9, 17]])
    cos, sin = LlamaRotaryEmbedding(config)(query, positions)
    rotate = RotaryPositions(head_dim, base).at(positions)
    for ours, theirs in zip((rotate(query), rotate(key)), apply_rotary_pos_emb(query, key, cos, sin), strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("n_buckets", "max_distance"), [(32, 128), (8, 20), (14, 300)])
def test_relative_buckets_are_t5s_at_every_distance(bidirectional, n_buckets, max_distance):
    from transformers.models.t5.modeling_t5 import T5Attention

    distance = torch.arange(-1000, 1001)
    theirs = T5Attention._relative_position_bucket(distance, bidirectional, n_buckets, max_distance)
    assert torch.equal(relative_buckets(distance, n_buckets, max_distance, bidirectional), theirs)


@pytest.mark.parametrize("shape", [(7,), (2, 3, 7), (4, 1)])
def test_layer_norm_and_its_gradients_are_torchs(shape):
    width = shape[-1]
    inputs = [draw(*shape, seed=1) * 30, draw(width, seed=2), draw(width, seed=3)]
    inputs = [value.requires_grad_() for value in inputs]
    passed = draw(*shape, seed=4)
    made = LayerNorm(width, eps=1e-3).double()
    made.gain.data, made.bias.data = inputs[1].detach(), inputs[2].detach()
    theirs = F.layer_norm(inputs[0], (width,), inputs[1], inputs[2], 1e-3)
    ours = layer_norm(*inputs, eps=1e-3)
    torch.testing.assert_close(ours, theirs, **EXACT)
    torch.testing.assert_close(made(inputs[0]), theirs, **EXACT)
    for mine, reference in zip(
        torch.autograd.grad(ours, inputs, passed), torch.autograd.grad(theirs, inputs, passed), strict=True
    ):
        torch.testing.assert_close(mine, reference, **EXACT)


def test_rms_norm_is_torchs():
    x, made = draw(2, 3, 7), RMSNorm(7, eps=1e-3).double()
    made.gain.data = draw(7, seed=1)
    torch.testing.assert_close(made(x), F.rms_norm(x, (7,), made.gain, 1e-3), **EXACT)


@pytest.mark.parametrize(("tanh", "approximate"), [(False, "none"), (True, "tanh")])
def test_gelu_and_its_gradient_are_torchs(tanh, approximate):
    x = torch.linspace(-6, 6, 101, dtype=torch.float64, requires_grad=True)
    ours, theirs = gelu(x, tanh), F.gelu(x, approximate=approximate)
    torch.testing.assert_close(ours, theirs, **EXACT)
    torch.testing.assert_close(torch.autograd.grad(ours.sum(), x)[0], torch.autograd.grad(theirs.sum(), x)[0], **EXACT)


def test_embedding_and_its_gradient_are_torchs():
    table = draw(9, 4).requires_grad_()
    ids = torch.tensor([[8, 1, 1], [0, 1, 5]])
    ours, theirs = embed_onehot(ids, table.T), F.embedding(ids, table)
    torch.testing.assert_close(ours, theirs, **EXACT)
    passed = draw(2, 3, 4, seed=1)
    (mine,) = torch.autograd.grad(ours, table, passed)
    (reference,) = torch.autograd.grad(theirs, table, passed)
    torch.testing.assert_close(mine, reference, **EXACT)
