"""T5 1.0 and 1.1 are those of `transformers`: logits, loss, gradients and greedy output, from a saved checkpoint."""

import json

import pytest
import torch
from byhand import hub
from byhand.decoding import generate
from byhand.seq2seq import seq2seq_loss, shift_right
from byhand.t5 import T5
from safetensors.torch import load_file, save_file

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
# heads times their width is never d_model; the texts are longer than max_distance
SIZES = {
    "1.0": {"vocab_size": 83, "d_model": 24, "d_kv": 5, "num_heads": 3, "d_ff": 40, "num_layers": 2},
    "1.0 deep decoder": {"vocab_size": 50, "d_model": 16, "d_kv": 8, "num_heads": 4, "d_ff": 17, "num_layers": 1},
    "1.1": {"vocab_size": 61, "d_model": 20, "d_kv": 6, "num_heads": 5, "d_ff": 33, "num_layers": 3},
    "1.1 one head": {"vocab_size": 71, "d_model": 8, "d_kv": 12, "num_heads": 1, "d_ff": 24, "num_layers": 2},
}


def make_reference(folder, kind, spread=0.2):
    import transformers

    new = kind.startswith("1.1")
    config = transformers.T5Config(
        **SIZES[kind],
        num_decoder_layers=3 if "deep" in kind else None,
        relative_attention_num_buckets=12 if new else 8,
        relative_attention_max_distance=11 if new else 20,
        feed_forward_proj="gated-gelu" if new else "relu",
        tie_word_embeddings=not new,
        layer_norm_epsilon=1e-4 if new else 1e-6,
        dropout_rate=0.3,
        decoder_start_token_id=0,
    )
    reference = transformers.T5ForConditionalGeneration(config).eval()
    if new:
        reference.lm_head.weight = torch.nn.Parameter(torch.empty_like(reference.shared.weight))
    rng = torch.Generator().manual_seed(len(kind))
    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            noise = torch.randn(parameter.shape, generator=rng)
            parameter.copy_(1 + 0.2 * noise if parameter.ndim == 1 else noise * (0.5 if "shared" in name else spread))
    reference.save_pretrained(folder)
    return reference


@pytest.fixture(params=SIZES)
def pair(request, tmp_path):
    """The reference, ours loaded from its folder, and a ragged batch longer than max_distance."""
    reference = make_reference(tmp_path, request.param)
    mine = T5.from_pretrained(tmp_path)
    rng = torch.Generator().manual_seed(5)
    input_ids = torch.randint(2, mine.config.vocab_size, (3, 33), generator=rng)
    attention_mask = torch.arange(33) < torch.tensor([33, 4, 25]).unsqueeze(1)
    labels = torch.randint(1, mine.config.vocab_size, (3, 27), generator=rng)
    labels[0, 20:], labels[1, 1:] = -100, -100
    return reference, mine, input_ids, attention_mask, labels


def test_logits_are_the_references(pair):
    reference, mine, input_ids, attention_mask, labels = pair
    with torch.no_grad():
        written = shift_right(labels, 0, 0)
        expected = reference(input_ids, attention_mask=attention_mask.long(), decoder_input_ids=written).logits
        torch.testing.assert_close(mine(input_ids, written, attention_mask), expected, **CLOSE)
        memory = mine.encode(input_ids, attention_mask)
        torch.testing.assert_close(mine.decode(written, memory, attention_mask), expected, **CLOSE)
        plain = reference(input_ids, decoder_input_ids=written).logits
        torch.testing.assert_close(mine(input_ids, written), plain, **CLOSE)
        assert (plain - expected).abs().max() > 1e-3


def test_padding_on_the_left_of_the_decoder_is_the_references(pair):
    reference, mine, input_ids, attention_mask, _ = pair
    written = input_ids[:, :14]
    real = torch.arange(14) >= torch.tensor([0, 5, 13]).unsqueeze(1)
    with torch.no_grad():
        expected = reference(
            input_ids,
            attention_mask=attention_mask.long(),
            decoder_input_ids=written,
            decoder_attention_mask=real.long(),
        ).logits
        logits = mine(input_ids, written, attention_mask, real)
    torch.testing.assert_close(logits[real], expected[real], **CLOSE)


def test_loss_and_gradients_are_the_references(pair):
    reference, mine, input_ids, attention_mask, labels = pair
    expected = reference(input_ids, attention_mask=attention_mask.long(), labels=labels)
    loss = mine.loss(input_ids, labels, attention_mask)
    torch.testing.assert_close(loss, expected.loss, **CLOSE)
    loss.backward()
    expected.loss.backward()
    renamed, unknown = hub.rename({name: p.grad for name, p in reference.named_parameters()}, hub.T5)
    assert unknown == []
    own = dict(mine.named_parameters())
    assert renamed.keys() == own.keys()
    for name, gradient in renamed.items():
        torch.testing.assert_close(own[name].grad, gradient, **CLOSE, msg=lambda text, name=name: f"{name}: {text}")


def test_teacher_forcing_gives_the_references_loss(pair):
    reference, mine, input_ids, attention_mask, labels = pair
    source = input_ids.masked_fill(~attention_mask, 0)
    expected = reference(source, attention_mask=attention_mask.long(), labels=labels).loss
    loss = seq2seq_loss(mine, source, labels.masked_fill(labels == -100, 0), bos=0, pad=0)
    torch.testing.assert_close(loss, expected, **CLOSE)


@pytest.mark.parametrize("kind", [*SIZES][:3])
def test_greedy_output_is_the_references_token_for_token(tmp_path, kind):
    reference = make_reference(tmp_path, kind, spread=0.5)  # so large that it does not write one token for ever
    mine = T5.from_pretrained(tmp_path)
    input_ids = torch.randint(2, mine.config.vocab_size, (3, 33), generator=torch.Generator().manual_seed(5))
    attention_mask = torch.arange(33) < torch.tensor([33, 4, 25]).unsqueeze(1)
    expected = reference.generate(
        input_ids,
        attention_mask=attention_mask.long(),
        max_new_tokens=24,
        do_sample=False,
        use_cache=False,  # its cache counts the encoder's layers
    )
    with torch.no_grad():
        memory = mine.encode(input_ids, attention_mask)
        written = generate(
            lambda ids: mine.decode(ids, memory, attention_mask)[:, -1],
            torch.zeros(3, 1, dtype=torch.long),
            max_new=24,
            eos=mine.config.eos_id,
            pad=mine.config.pad_id,
        )
    assert torch.equal(written, expected)
    assert len(set(written.flatten().tolist())) > 6


@pytest.mark.parametrize("kind", ["1.0", "1.1"])
def test_the_hubs_first_files_load_too(tmp_path, kind):
    """They say by tie_word_embeddings whether states are scaled, and hold copies of the embedding."""
    reference = make_reference(tmp_path, kind)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["scale_decoder_outputs"]
    config["tie_word_embeddings"] = kind == "1.0"
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = load_file(tmp_path / "model.safetensors")
    copies = {f"{side}.embed_tokens.weight": weights["shared.weight"].clone() for side in ("encoder", "decoder")}
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    save_file({**weights, **copies, unused: torch.zeros(8, 3)}, tmp_path / "model.safetensors")
    mine = T5.from_pretrained(tmp_path)
    assert (mine.head.weight is mine.token_embedding.weight) == (kind == "1.0")
    source, written = torch.arange(2, 40).view(2, 19), torch.arange(2, 16).view(2, 7)
    torch.testing.assert_close(mine(source, written), reference(source, decoder_input_ids=written).logits, **CLOSE)


def test_missing_and_extra_weights_are_named(tmp_path):
    make_reference(tmp_path, "1.0")
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    cut = {name: weight for name, weight in weights.items() if "decoder.block.1.layer.1.EncDecAttention.k" not in name}
    save_file(cut, path)
    with pytest.raises(ValueError, match=r"the checkpoint lacks: decoder\.blocks\.1\.cross_attention\.key\.weight"):
        T5.from_pretrained(tmp_path)
    save_file({**weights, "encoder.block.2.layer.0.SelfAttention.q.weight": torch.zeros(15, 24)}, path)
    with pytest.raises(ValueError, match=r"the model has no place for: encoder\.blocks\.2\.attention\.query\.weight"):
        T5.from_pretrained(tmp_path)
    path.write_bytes(b"cut short")
    with pytest.raises(ValueError, match="damaged"):
        T5.from_pretrained(tmp_path)


def test_fresh_weights_are_as_large_as_the_references(tmp_path):
    import transformers
    from byhand.t5 import T5Config

    reference = transformers.T5ForConditionalGeneration(
        transformers.T5Config(vocab_size=300, d_model=64, d_kv=16, num_heads=8, d_ff=96, num_layers=1)
    )
    config = T5Config(vocab_size=300, d_model=64, head_dim=16, n_heads=8, d_ff=96, n_layers=1)
    own = dict(T5(config, torch.Generator().manual_seed(0)).named_parameters())
    renamed, _ = hub.rename(dict(reference.named_parameters()), hub.T5)
    for name, weight in renamed.items():
        ratio = own[name].std() / weight.std() if weight.ndim == 2 else own[name].mean() / weight.mean()
        assert abs(ratio - 1) < 0.25, name  # 32 buckets by 8 heads are few
