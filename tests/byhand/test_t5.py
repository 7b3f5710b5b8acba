"""T5: what the decoder may see, padding, lengths, the configuration, and a task learned."""

import dataclasses

import pytest
import torch
from byhand.objectives import Drawn, span_batch, summed_loss
from byhand.t5 import T5, T5Config
from byhand.training import TrainingConfig, train

SIZES = {"vocab_size": 41, "d_model": 10, "d_ff": 24, "n_layers": 2, "n_heads": 3, "head_dim": 6, "n_buckets": 8}
NEW = {"activation": "gated_gelu", "tied": False, "scaled": False, "n_decoder_layers": 1}
CONFIGS = {"1.0": T5Config(**SIZES, max_distance=9), "1.1": T5Config(**SIZES, max_distance=9, **NEW)}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=CONFIGS)
def model(request):
    return T5(CONFIGS[request.param], seeded(0)).eval()


def random_ids(batch, seq, seed=3):
    return torch.randint(2, 41, (batch, seq), generator=seeded(seed))


def test_changing_what_is_written_later_never_changes_earlier_logits(model):
    source, written = random_ids(2, 7), random_ids(2, 12, seed=4)
    logits = model(source, written)
    for place in range(12):
        changed = written.clone()
        changed[:, place:] = (changed[:, place:] + 1) % 41
        now = model(source, changed)
        assert torch.equal(now[:, :place], logits[:, :place])
        assert not torch.equal(now[:, place], logits[:, place])


def test_every_token_of_the_source_reaches_every_logit(model):
    source, written = random_ids(1, 6), random_ids(1, 4, seed=4)
    logits = model(source, written)
    for place in range(6):
        changed = source.clone()
        changed[0, place] = (changed[0, place] + 1) % 41
        assert ((model(changed, written) - logits).abs().amax(-1) > 0).all()


def test_batched_with_padding_equals_one_by_one(model):
    lengths = [(11, 5), (3, 9), (7, 1)]
    rows = [(random_ids(1, src, src), random_ids(1, tgt, tgt)) for src, tgt in lengths]
    source, written = torch.zeros(3, 11, dtype=torch.long), torch.zeros(3, 9, dtype=torch.long)
    for place, (src, tgt) in enumerate(rows):
        source[place, : src.shape[1]], written[place, : tgt.shape[1]] = src[0], tgt[0]
    logits = model(source, written, source > 0)
    for place, (src, tgt) in enumerate(rows):
        torch.testing.assert_close(logits[place, : tgt.shape[1]], model(src, tgt)[0], rtol=1e-5, atol=1e-5)


def test_padding_on_the_left_of_the_text_so_far_changes_nothing_where_it_is_masked(model):
    source, written = random_ids(2, 5), random_ids(2, 4, seed=4)
    shifted = torch.cat([torch.zeros(2, 3, dtype=torch.long), written], dim=1)
    real = torch.arange(7).expand(2, 7) >= 3
    # positions are relative, so a shift is none
    torch.testing.assert_close(model(source, shifted, None, real)[:, 3:], model(source, written), rtol=1e-5, atol=1e-5)


def test_a_step_writes_from_what_was_encoded_once(model):
    source, written = random_ids(2, 5), random_ids(2, 4, seed=4)
    memory = model.encode(source)
    torch.testing.assert_close(model.decode(written, memory), model(source, written))
    assert memory.shape == (2, 5, 10)


def test_the_loss_leaves_out_what_is_not_to_be_predicted(model):
    source, labels = random_ids(3, 6), random_ids(3, 8, seed=4)
    labels[0, 5:], labels[2, 1:] = -100, -100
    written = torch.cat([torch.zeros(3, 1, dtype=torch.long), labels.clamp(min=0)[:, :-1]], dim=1)
    counted = labels != -100
    by_hand = -model(source, written).log_softmax(-1)[counted].gather(-1, labels[counted].unsqueeze(-1)).mean()
    before = labels.clone()
    torch.testing.assert_close(model.loss(source, labels), by_hand)
    assert torch.equal(labels, before)


def test_distances_are_shared_by_all_blocks_of_a_side_and_by_no_cross_attention(model):
    biases = [name for name, _ in model.named_parameters() if "relative_bias" in name]
    assert biases == ["encoder.relative_bias.embedding.weight", "decoder.relative_bias.embedding.weight"]
    assert all("bias" not in name or "relative_bias" in name for name, _ in model.named_parameters())


def test_no_length_is_too_long_and_dropout_needs_train_mode():
    model = T5(dataclasses.replace(CONFIGS["1.0"], dropout=0.5), seeded(0)).eval()
    source, written = random_ids(1, 90), random_ids(1, 70, seed=4)
    assert torch.equal(model(source, written), model(source, written))
    model.train()
    assert not torch.equal(model(source, written), model(source, written))


def test_ids_outside_the_vocabulary_and_empty_texts_are_refused(model):
    fine = random_ids(1, 3)
    for source, written in [(fine, torch.tensor([[0, 41]])), (torch.tensor([[-100, 3]]), fine)]:
        with pytest.raises(ValueError, match=r"ids run from .*, the vocabulary from 0 to 40"):
            model(source, written)
    for source, written in [(fine, fine[:, :0]), (fine[:, :0], fine)]:
        with pytest.raises(ValueError, match="a sequence is empty: the encoder needs a token, the decoder starts with"):
            model(source, written)


def test_the_published_sizes():
    def count(config):
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in T5(config).parameters())

    # as transformers counts google-t5/t5-small, t5-base and google/t5-v1_1-small
    assert count(T5Config.small()) == 60_506_624
    assert count(T5Config.base()) == 222_903_552
    assert count(T5Config.small_v1_1()) == 76_961_152


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_layers": 0}, "n_layers must be at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be 0 or more and below 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        T5Config.tiny(**changes)


def test_configs_of_other_models_are_refused():
    with pytest.raises(ValueError, match="the config has model_type 'bert'; this model loads 't5' only"):
        T5Config.from_hub({"model_type": "bert"})
    sizes = {"vocab_size": 9, "d_model": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "d_kv": 2}
    assert T5Config.from_hub({"model_type": "t5", **sizes}) == T5Config(9, 4, 8, 1, 2, 2)
    with pytest.raises(
        ValueError, match=r"feed_forward_proj 'gated-silu'; this model loads \['relu', 'gated-gelu'\] only"
    ):
        T5Config.from_hub({"model_type": "t5", "feed_forward_proj": "gated-silu", **sizes})


def test_the_same_generator_gives_the_same_weights_and_the_global_one_is_left_alone():
    state = torch.get_rng_state()
    first, second = (T5(CONFIGS["1.1"], seeded(7)).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_training_loop_pre_trains_on_span_corruption():
    # each row counts up by one: what is missing can be told
    rows = [[4 + (start + step) % 20 for step in range(12)] for start in range(20)]
    source = Drawn(rows, lambda drawn, rng: span_batch(drawn, rng, sentinel0=40, eos=1, p=0.25, mean_len=2.0))
    model = T5(dataclasses.replace(CONFIGS["1.1"], d_model=24, n_layers=1), seeded(0))
    settings = TrainingConfig(steps=120, batch=16, lr=1e-2, weight_decay=0.0)
    history = train(model, source, settings, loss=summed_loss, show=False)
    assert sum(history.loss[-10:]) / 10 < 1.3 < 2.5 < history.loss[0]
