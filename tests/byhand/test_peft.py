"""Tuning few parameters: it starts as nothing, only what should learns, merged equals separate."""

import copy

import pytest
import torch
from byhand.attention import MultiHeadAttention
from byhand.encoder import Encoder, EncoderConfig
from byhand.finetuning import TextClassifier, freeze
from byhand.gpt import GPT, GPTConfig
from byhand.masks import padding_mask
from byhand.peft import (
    Adapter,
    LoRALinear,
    PrefixAttention,
    SoftPrompt,
    inject_adapters,
    inject_lora,
    inject_prefixes,
    load_lora,
    lora_weights,
    merge_lora,
    multi_lora,
    peft_params,
    remove_lora,
    unmerge_lora,
)
from byhand.positions import RotaryPositions
from torch import nn

IDS = torch.tensor([[3, 4, 5, 6], [9, 8, 7, 1]])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def linear(d_in, d_out, bias=True):
    layer = nn.Linear(d_in, d_out, bias).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(drawn(*parameter.shape))
    return layer


@pytest.fixture
def encoder():
    return (
        Encoder(EncoderConfig.tiny(vocab_size=30, d_model=16, d_ff=32, n_layers=3, max_seq=9), seeded()).double().eval()
    )


@pytest.fixture
def gpt():
    return GPT(GPTConfig(vocab_size=30, max_seq=9, d_model=12, n_layers=2, n_heads=3), seeded()).double().eval()


def learning(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@torch.no_grad()
def stir(model, seed=5):
    """Move what learns away from where it starts."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter += 0.1 * drawn(*parameter.shape, seed=seed + len(name))


@pytest.mark.parametrize("bias", [True, False])
def test_an_update_starts_as_nothing_and_merges_to_what_it_does(bias):
    layer = linear(6, 4, bias)
    lora = LoRALinear(layer, rank=2, alpha=7.0, rng=seeded(1))
    x = drawn(2, 3, 6, seed=2).transpose(0, 1)
    assert torch.equal(lora(x), layer(x))
    stir(lora)
    expected = layer(x) + 7.0 / 2 * x @ lora.A.T @ lora.B.T
    assert torch.allclose(lora(x), expected, atol=1e-12)
    plain = lora.merge()
    assert type(plain) is nn.Linear
    assert (plain.bias is None) is not bias
    assert torch.allclose(plain(x), expected, atol=1e-12)
    assert not torch.equal(plain.weight, layer.weight)
    assert torch.equal(lora.linear.weight, layer.weight), "merging leaves the layer as it was"


def test_one_vector_gets_what_it_gets_in_a_batch():
    lora = LoRALinear(linear(6, 4), rank=2, alpha=7.0, rng=seeded(1))
    stir(lora)
    x = drawn(3, 6, seed=2)
    assert torch.allclose(lora(x[1]), lora(x)[1], atol=1e-12)


def test_at_the_start_b_learns_and_a_waits_and_the_base_is_frozen():
    layer = linear(6, 4)
    lora = LoRALinear(layer, rank=2, alpha=3.0, rng=seeded(1))
    lora(drawn(5, 6)).square().sum().backward()
    assert lora.B.grad.abs().sum() > 0
    assert not lora.A.grad.any()
    assert layer.weight.grad is None
    assert layer.bias.grad is None


def test_the_same_generator_draws_the_same_update_and_the_global_one_is_left_alone():
    layer, state = linear(6, 4), torch.get_rng_state()
    first, second = (LoRALinear(layer, 2, 1.0, rng=seeded(9)) for _ in range(2))
    assert torch.equal(first.A, second.A)
    first.merge()
    PrefixAttention(attention_layer(), 2, seeded(1))
    Adapter(4, 2, seeded(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_fused_product_and_autocasts_agree():
    lora = LoRALinear(linear(6, 4).float(), rank=2, alpha=3.0, rng=seeded(1))
    stir(lora.double())
    lora = lora.float()
    x = drawn(3, 6).float()
    with torch.autocast("cpu", torch.bfloat16):
        rough = lora(x)
    assert rough.dtype == torch.bfloat16
    assert torch.allclose(rough.float(), lora(x), atol=0.1)
    assert lora(x[:0]).shape == (0, 4)


def test_minilms_queries_and_values_get_36864_numbers():
    with torch.device("meta"):
        model = Encoder(EncoderConfig.minilm())
    model.to_empty(device="cpu")
    assert inject_lora(model, ["query", "value"], rank=4, alpha=8.0) == 36_864
    assert peft_params("lora", 384, 6, rank=4) == 36_864
    assert all(name.endswith((".A", ".B")) for name in learning(model))


def test_injecting_twice_is_injecting_once(encoder):
    before = encoder(IDS)
    count = inject_lora(encoder, ["query", "attention.value"], rank=2, alpha=4.0, rng=seeded())
    assert torch.equal(encoder(IDS), before)
    stir(encoder)
    moved = encoder(IDS)
    assert (
        inject_lora(encoder, ["query", "attention.value"], rank=2, alpha=4.0)
        == count
        == peft_params("lora", 16, 3, rank=2)
    )
    assert torch.equal(encoder(IDS), moved)
    layers = [module for module in encoder.modules() if isinstance(module, LoRALinear)]
    assert len(layers) == 6
    assert not any(isinstance(layer.linear, LoRALinear) for layer in layers)
    assert not any(module.training for module in layers)


def test_merged_equals_separate_and_unmerged_is_what_it_was(encoder):
    inject_lora(encoder, ["query", "value", "up"], rank=2, alpha=3.0, rng=seeded())
    stir(encoder)
    separate = encoder(IDS)
    weights = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    assert merge_lora(encoder) == 9
    assert torch.allclose(encoder(IDS), separate, atol=1e-10)
    assert merge_lora(encoder) == 0, "nothing is added twice"
    assert unmerge_lora(encoder) == 9
    assert unmerge_lora(encoder) == 0
    assert torch.allclose(encoder(IDS), separate, atol=1e-10)
    for name, tensor in encoder.state_dict().items():
        assert torch.allclose(tensor, weights[name], atol=1e-12), name
    merge_lora(encoder)
    assert remove_lora(encoder) == 9
    assert not any(isinstance(module, LoRALinear) for module in encoder.modules())
    assert torch.allclose(encoder(IDS), separate, atol=1e-10)


def test_an_update_gone_wrong_is_not_merged_and_leaves_the_model_whole(encoder):
    inject_lora(encoder, ["query"], rank=2, alpha=3.0, rng=seeded())
    stir(encoder)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with torch.no_grad():
        encoder.blocks[2].attention.query.B[0, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        merge_lora(encoder)
    weight = encoder.blocks[0].attention.query.linear.weight
    assert torch.equal(weight, before["blocks.0.attention.query.linear.weight"])
    with pytest.raises(ValueError, match="NaN or infinity"):
        encoder.blocks[2].attention.query.merge()


def test_updates_are_stored_alone_and_fit_another_copy(encoder, tmp_path):
    from safetensors.torch import load_file, save_file

    other = copy.deepcopy(encoder)
    inject_lora(encoder, ["query"], rank=2, alpha=3.0, rng=seeded(1))
    inject_lora(other, ["query"], rank=2, alpha=3.0, rng=seeded(2))
    stir(encoder)
    save_file(lora_weights(encoder), tmp_path / "update.safetensors")
    assert len(lora_weights(encoder)) == 6
    load_lora(other, load_file(tmp_path / "update.safetensors"))
    assert torch.equal(other(IDS), encoder(IDS))
    third = copy.deepcopy(other)
    with pytest.raises(ValueError, match=r"blocks.0.attention.query.A.*the same rank"):
        load_lora(
            third, {name: tensor[:1] if name.endswith("A") else tensor for name, tensor in lora_weights(other).items()}
        )
    with pytest.raises(ValueError, match=r"do not fit this model"):
        load_lora(third, {})
    merge_lora(third)
    with pytest.raises(ValueError, match="unmerge_lora"):
        load_lora(third, lora_weights(other))


def test_a_classifier_learns_through_its_updates_and_its_head_alone(encoder):
    model = TextClassifier(encoder, 2).double()
    inject_lora(model, ["query", "value"], rank=2, alpha=4.0, rng=seeded())
    model.head.requires_grad_(True)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    labels = torch.tensor([0, 1])
    first = model.loss(IDS, labels).item()
    for _ in range(15):
        optimizer.zero_grad()
        model.loss(IDS, labels).backward()
        optimizer.step()
    assert model.loss(IDS, labels).item() < first / 2
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == learning(model)


def test_rows_of_one_batch_get_each_their_own_update():
    x, weight = drawn(5, 3, 6), drawn(4, 6, seed=1)
    A, B = drawn(3, 2, 6, seed=2), drawn(3, 4, 2, seed=3)
    task = torch.tensor([2, 0, 2, 1, 0])
    kept = weight.clone()
    out = multi_lora(x, weight, A, B, task, scale=0.7)
    for row, number in enumerate(task.tolist()):
        assert torch.allclose(out[row], x[row] @ (weight + 0.7 * B[number] @ A[number]).T, atol=1e-12)
    assert torch.equal(weight, kept)


def attention_layer(**options):
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return MultiHeadAttention(12, 3, **options).double().eval()


@pytest.mark.parametrize("causal", [False, True])
def test_without_a_prefix_the_layer_is_itself(causal):
    layer = attention_layer()
    x, mask = drawn(2, 5, 12), padding_mask(torch.tensor([[True] * 5, [True, True, True, False, False]]))
    bias = drawn(1, 3, 5, 5, seed=2)
    bare = PrefixAttention(layer, 0)
    for given in (None, bias):
        assert torch.allclose(bare(x, None, mask, given, causal), layer(x, None, mask, given, causal), atol=1e-12)


def test_every_token_sees_the_whole_prefix_and_causality_holds_behind_it():
    layer = attention_layer()
    x = drawn(2, 5, 12)
    prefixed = PrefixAttention(layer, 3, seeded(1))
    stir(prefixed)
    out = prefixed(x, causal=True)
    moved = copy.deepcopy(prefixed)
    with torch.no_grad():
        moved.prefix[:, -1] += 1
    assert ((moved(x, causal=True) - out).abs().amax(-1) > 1e-6).all(), "the first token sees the last of the prefix"
    future = x.clone()
    future[:, 3:] += 1
    assert torch.equal(prefixed(future, causal=True)[:, :3], out[:, :3])
    unseen = torch.zeros(1, 1, 5, 5, dtype=torch.bool)
    assert not torch.allclose(prefixed(x, mask=unseen), layer(x, mask=unseen)), "a mask of tokens leaves the prefix"


def test_a_prefix_equals_keys_and_values_written_out():
    layer = attention_layer()
    x = drawn(2, 5, 12)
    prefixed = PrefixAttention(layer, 3, seeded(1))
    stir(prefixed)
    heads = lambda states: states.reshape(2, -1, 3, 4).transpose(1, 2)  # noqa: E731
    keys = heads(torch.cat([prefixed.prefix[0].expand(2, -1, -1), layer.key(x)], 1))
    values = heads(torch.cat([prefixed.prefix[1].expand(2, -1, -1), layer.value(x)], 1))
    weights = torch.softmax(heads(layer.query(x)) @ keys.transpose(-2, -1) / 2, -1)
    expected = layer.output((weights @ values).transpose(1, 2).reshape(2, 5, 12))
    assert torch.allclose(prefixed(x), expected, atol=1e-12)


def test_rotary_positions_stay_the_tokens_own():
    layer = attention_layer()
    x = drawn(1, 5, 12)
    turn = RotaryPositions(4)
    rotate = turn.at(torch.arange(5))
    prefixed = PrefixAttention(layer, 2, seeded(1))
    with torch.no_grad():
        prefixed.prefix.zero_()  # keys of zero have the same product with every query, turned or not
    out = prefixed(x, causal=True, rotate=rotate)
    shifted = prefixed(x, causal=True, rotate=turn.at(torch.arange(3, 8)))
    assert torch.allclose(out, shifted, atol=1e-10), "only distances between tokens count"
    assert torch.allclose(PrefixAttention(layer, 0)(x, rotate=rotate), layer(x, rotate=rotate), atol=1e-12)


def test_prefixes_learn_and_nothing_else_does(encoder, gpt):
    for model in (encoder, gpt):
        d_model, n_layers = model.config.d_model, model.config.n_layers
        assert inject_prefixes(model, 4, seeded()) == peft_params("prefix", d_model, n_layers, n_prefix=4)
        assert all(name.endswith("prefix") for name in learning(model))
        model(IDS).square().sum().backward()
        grads = [p.grad for p in model.parameters() if p.requires_grad]
        assert all(grad is not None and grad.abs().sum() > 0 for grad in grads)
        assert all(p.grad is None for p in model.parameters() if not p.requires_grad)


def test_a_soft_prompt_made_of_words_is_those_words(gpt):
    prompt = SoftPrompt(gpt, 3, seeded(2))
    words = torch.tensor([5, 9, 2])
    with torch.no_grad():
        prompt.prompt.copy_(gpt.token_embedding.weight[words])
    expected = gpt(torch.cat([words.expand(2, -1), IDS], 1))[:, 3:]
    assert torch.allclose(prompt(IDS), expected, atol=1e-12)
    mask = torch.tensor([[True, True, True, False], [True] * 4])
    assert torch.allclose(prompt(IDS, mask)[0, :3], prompt(IDS[:1, :3])[0], atol=1e-12)
    assert learning(prompt) == {"prompt"}
    assert sum(p.numel() for p in prompt.parameters() if p.requires_grad) == peft_params("prompt", 12, 2, n_prompt=3)
    assert torch.equal(SoftPrompt(gpt, 0)(IDS), gpt(IDS))


def test_an_adapter_starts_as_nothing_and_both_its_ways_learn():
    adapter = Adapter(8, 3, seeded()).double()
    x = drawn(2, 5, 8)
    assert torch.equal(adapter(x), x)
    stir(adapter)
    expected = x + adapter.up(torch.nn.functional.gelu(adapter.down(x)))
    assert torch.allclose(adapter(x), expected)
    adapter(x).square().sum().backward()
    assert adapter.down.weight.grad.abs().sum() > 0


def test_adapters_go_behind_both_parts_of_every_block(encoder, gpt):
    for model in (encoder, gpt):
        before = model(IDS)
        d_model, n_layers = model.config.d_model, model.config.n_layers
        assert inject_adapters(model, 2, seeded()) == peft_params("adapters", d_model, n_layers, bottleneck=2)
        assert torch.equal(model(IDS), before)
        assert all(".adapter." in name for name in learning(model))
        stir(model)
        assert not torch.allclose(model(IDS), before)


def test_counts_are_what_the_models_learn(encoder):
    assert freeze(encoder, [r"^blocks\..*bias$"]) == peft_params("bitfit", 16, 3, d_ff=32)
    assert peft_params("bitfit", 384, 6) == 6 * 11 * 384
    assert peft_params("lora", 100, 7, rank=3) == peft_params("prefix", 100, 7, n_prefix=6)
    assert peft_params("lora", 100, 7, rank=3, matrices=4) == 2 * peft_params("lora", 100, 7, rank=3)
    assert peft_params("adapters", 100, 7, bottleneck=3, per_block=1) == 7 * (2 * 300 + 3 + 100)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: LoRALinear(nn.Linear(6, 4), 5, 1.0), "between 1 and 4"),
        (lambda: LoRALinear(nn.Linear(6, 4), 0, 1.0), "between 1 and 4"),
        (lambda: LoRALinear(nn.Linear(6, 4), 2, 0.0), "alpha must be above 0"),
        (lambda: inject_lora(nn.ModuleDict({"query": nn.Linear(2, 2)}), ["q"], 1, 1.0), "'q'; the model has query"),
        (lambda: multi_lora(drawn(1, 2, 3), drawn(1, 3), drawn(2, 1, 3), drawn(2, 1, 1), torch.tensor([2])), "for 2"),
        (lambda: PrefixAttention(MultiHeadAttention(4, 2), -1), "0 or more, got -1"),
        (lambda: inject_prefixes(nn.Linear(2, 2), 3), "has no byhand.attention"),
        (lambda: inject_adapters(nn.Linear(2, 2), 3), "has no byhand.blocks"),
        (lambda: Adapter(4, 0), "bottleneck must be at least 1"),
        (lambda: peft_params("ia3", 4, 2), "no method 'ia3'; there are lora"),
        (lambda: peft_params("lora", 4, 2), "lora needs rank"),
        (lambda: peft_params("lora", 4, 2, rnk=2), "no setting rnk; it takes rank, matrices"),
        (lambda: peft_params("prompt", 4, 2, n_prompt=-1), "n_prompt must not be negative"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_what_is_injected_twice_or_too_long_is_named(encoder, gpt):
    with pytest.raises(ValueError, match="below the model's 9"):
        SoftPrompt(gpt, 9)
    with pytest.raises(ValueError, match="10 vectors, the model takes 9"):
        SoftPrompt(gpt, 6)(IDS)
    inject_prefixes(encoder, 2)
    with pytest.raises(ValueError, match="has prefixes already"):
        inject_prefixes(encoder, 2)
    inject_adapters(gpt, 2)
    with pytest.raises(ValueError, match="has adapters already"):
        inject_adapters(gpt, 2)
    inject_lora(gpt, ["head"], 1, 1.0)
    with pytest.raises(ValueError, match="no linear layer is named 'nothing'"):
        inject_lora(gpt, ["nothing"], 1, 1.0)
