"""The encoder: padding, segments and positions count as they must, and loading says what is wrong."""

import json

import pytest
import torch
from byhand.encoder import Encoder, EncoderConfig, count_parameters
from safetensors.torch import save_file

SIZES = {"vocab_size": 40, "d_model": 12, "n_layers": 2, "n_heads": 3, "d_ff": 20, "max_seq": 9, "n_segments": 2}
HUB_CONFIG = {
    "model_type": "bert",
    "vocab_size": 40,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 9,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.3,
}


def build(seed=0, **changes):
    """An encoder in float64 whose weights, gains and biases included, all differ."""
    made = Encoder(EncoderConfig(**{**SIZES, **changes})).double()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng, dtype=torch.float64) / 2)
    return made.eval()


def draw_ids(*shape, seed=1):
    return torch.randint(40, shape, generator=torch.Generator().manual_seed(seed))


def hub_name(own):
    """What the hub calls one of the encoder's weights."""
    for ours, theirs in (
        ("token_embedding", "embeddings.word_embeddings"),
        ("position_embedding", "embeddings.position_embeddings"),
        ("segment_embedding", "embeddings.token_type_embeddings"),
        ("embedding_norm.gain", "embeddings.LayerNorm.weight"),
        ("embedding_norm", "embeddings.LayerNorm"),
        ("blocks", "encoder.layer"),
        ("attention_norm.gain", "attention.output.LayerNorm.weight"),
        ("attention_norm", "attention.output.LayerNorm"),
        ("feed_forward_norm.gain", "output.LayerNorm.weight"),
        ("feed_forward_norm", "output.LayerNorm"),
        ("attention.query", "attention.self.query"),
        ("attention.key", "attention.self.key"),
        ("attention.value", "attention.self.value"),
        ("attention.output.weight", "attention.output.dense.weight"),
        ("attention.output.bias", "attention.output.dense.bias"),
        ("feed_forward.up", "intermediate.dense"),
        ("feed_forward.down", "output.dense"),
        ("pooler", "pooler.dense"),
    ):
        if ours in own:
            own = own.replace(ours, theirs)
            if ours != "blocks":
                break
    return own


def write_checkpoint(folder, encoder, rename=hub_name, **config):
    folder.mkdir(exist_ok=True)
    weights = {rename(name): weight.float().contiguous() for name, weight in encoder.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**HUB_CONFIG, **config}))
    return folder


def test_a_batch_of_ragged_rows_equals_the_rows_one_by_one():
    encoder, ids, lengths = build(), draw_ids(3, 8), [8, 1, 5]
    segments = (torch.arange(8) > 3).long().expand(3, 8)
    batched = encoder(ids, torch.arange(8) < torch.tensor(lengths)[:, None], segments)
    for row, length in enumerate(lengths):
        alone = encoder(ids[row : row + 1, :length], None, segments[row : row + 1, :length])
        torch.testing.assert_close(batched[row, :length], alone[0], rtol=1e-12, atol=1e-12)


def test_what_is_padding_makes_no_difference_and_what_is_not_does():
    encoder, ids = build(), draw_ids(2, 6)
    mask = torch.tensor([[True] * 6, [True, True, False, True, False, False]])
    out, changed = encoder(ids, mask), ids.clone()
    changed[1, [2, 4]] = (changed[1, [2, 4]] + 1) % 40
    assert torch.equal(encoder(changed, mask)[1, mask[1]], out[1, mask[1]])
    changed[1, 3] = (changed[1, 3] + 1) % 40
    assert not torch.allclose(encoder(changed, mask)[1, :2], out[1, :2])
    assert torch.isfinite(encoder(ids, torch.zeros(2, 6, dtype=torch.bool))).all()


def test_without_segments_all_is_the_first_and_the_second_is_another():
    encoder, ids = build(), draw_ids(2, 6)
    assert torch.equal(encoder(ids), encoder(ids, segment_ids=torch.zeros_like(ids)))
    assert not torch.allclose(encoder(ids), encoder(ids, segment_ids=torch.ones_like(ids)))


def test_only_positions_tell_the_order_of_tokens():
    encoder, ids, order = build(), draw_ids(2, 6), torch.tensor([4, 2, 0, 5, 1, 3])
    assert not torch.allclose(encoder(ids[:, order]), encoder(ids)[:, order])
    torch.nn.init.zeros_(encoder.position_embedding.weight)
    torch.testing.assert_close(encoder(ids[:, order]), encoder(ids)[:, order])


def test_every_token_sees_the_whole_sequence():
    encoder, ids = build(), draw_ids(1, 7)
    changed = ids.clone()
    changed[0, 6] = (changed[0, 6] + 1) % 40
    assert (encoder(ids) != encoder(changed)).any(-1).all()


def test_the_pooler_reads_the_first_token():
    encoder, hidden = build(), torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(3)).double()
    pooled = encoder.pool(hidden)
    torch.testing.assert_close(pooled, torch.tanh(encoder.pooler(hidden[:, 0])))
    with pytest.raises(ValueError, match=r"no pooler; build it with EncoderConfig\(pooler=True\)"):
        build(pooler=False).pool(hidden)


def test_dropout_acts_in_training_only():
    encoder, ids = build(dropout=0.5), draw_ids(1, 6)
    assert torch.equal(encoder(ids), encoder(ids))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(encoder.train()(ids), encoder(ids))


def test_initial_weights_come_from_the_generator_and_leave_the_global_one_alone():
    before = torch.random.get_rng_state()
    first, second = (Encoder(EncoderConfig.tiny(), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    assert abs(first.token_embedding.weight.std() - 0.02) < 0.001
    assert (first.blocks[0].attention.query.bias == 0).all()
    assert (first.embedding_norm.gain == 1).all()


@pytest.mark.parametrize(
    ("preset", "count"),
    [
        (EncoderConfig.minilm, 22_713_216),
        (EncoderConfig.bert_base, 109_482_240),
        (EncoderConfig.bert_large, 335_141_888),
    ],
)
def test_parameters_of_the_published_models_are_counted_exactly(preset, count):
    config = preset()
    sizes = (config.vocab_size, config.d_model, config.n_layers, config.d_ff, config.max_seq, config.n_segments)
    assert count_parameters(*sizes) == count
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in Encoder(config).parameters()) == count


def test_the_count_is_that_of_a_model_whose_sizes_all_differ():
    sizes = {name: size for name, size in SIZES.items() if name != "n_heads"}
    assert count_parameters(**sizes) == sum(parameter.numel() for parameter in build().parameters())


@pytest.mark.parametrize(
    ("ids", "segments", "words"),
    [
        (torch.full((1, 3), 40), None, "ids run from 40 to 40, the vocabulary from 0 to 39"),
        (torch.zeros(1, 10, dtype=torch.long), None, "a sequence has 10 tokens, the model takes 1 to 9"),
        (torch.zeros(1, 0, dtype=torch.long), None, "a sequence has 0 tokens"),
        (torch.zeros(1, 3, dtype=torch.long), torch.full((1, 3), 2), "ids run from 2 to 2, the vocabulary from 0 to 1"),
    ],
)
def test_input_that_no_row_stands_for_is_refused(ids, segments, words):
    with pytest.raises(ValueError, match=words):
        build()(ids, segment_ids=segments)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_layers": 0}, "n_layers must be at least 1, got 0"),
        ({"n_heads": 5}, "d_model=12 cannot be cut into n_heads=5; choose a divisor"),
        ({"dropout": 1.0}, "dropout must be 0 or more and below 1, got 1.0"),
    ],
)
def test_a_config_that_cannot_be_built_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        EncoderConfig(**{**SIZES, **changes})


def test_a_checkpoint_from_a_folder_is_the_model_that_was_saved(tmp_path):
    encoder, ids = build(), draw_ids(2, 7)
    loaded = Encoder.from_pretrained(write_checkpoint(tmp_path / "bert", encoder), dtype=torch.float64)
    assert loaded.config == EncoderConfig(**SIZES, dropout=0.3)
    assert not loaded.training
    torch.testing.assert_close(loaded(ids), encoder.float().double()(ids))
    torch.testing.assert_close(loaded.pool(loaded(ids)), encoder.pool(encoder(ids)))
    assert Encoder.from_pretrained(tmp_path / "bert").token_embedding.weight.dtype == torch.float32


def test_a_checkpoint_without_a_pooler_gives_an_encoder_without_one(tmp_path):
    loaded = Encoder.from_pretrained(write_checkpoint(tmp_path / "bert", build(pooler=False)))
    assert loaded.pooler is None


def test_the_old_names_of_norms_and_the_prefix_of_a_model_with_heads_are_known(tmp_path):
    def old(name):
        for new, gone in (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")):
            name = name.replace(new, gone)
        return "bert." + name

    encoder, ids = build(), draw_ids(2, 7)
    folder = write_checkpoint(tmp_path / "bert", encoder, lambda name: old(hub_name(name)))
    torch.testing.assert_close(Encoder.from_pretrained(folder, dtype=torch.float64)(ids), encoder.float().double()(ids))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "roberta"}, "the config has model_type 'roberta'; this encoder loads 'bert' only"),
        ({"hidden_act": "relu"}, "hidden_act 'relu'"),
        ({"num_hidden_layers": 3}, "the checkpoint lacks: blocks.2.attention_norm.gain, .* and 10 more"),
        ({"num_hidden_layers": 1}, "the model has no place for: blocks.1"),
        ({"vocab_size": 41}, r"token_embedding.weight is \(40, 12\), the model needs \(41, 12\)"),
    ],
)
def test_weights_that_are_not_those_of_the_config_are_refused(tmp_path, config, words):
    folder = write_checkpoint(tmp_path / "bert", build(), **config)
    with pytest.raises(ValueError, match=words):
        Encoder.from_pretrained(folder)


def test_a_config_without_sizes_is_refused():
    with pytest.raises(ValueError, match=r"the config lacks vocab_size, hidden_size, .*: is it a BERT's config.json?"):
        EncoderConfig.from_hub({})
