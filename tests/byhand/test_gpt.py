"""GPT: causality, padding, positions, tied weights, and what is refused."""

import dataclasses
import math

import pytest
import torch
from byhand.gpt import GPT, GPTConfig
from byhand.packing import document_mask, pack

SIZES = {"vocab_size": 37, "max_seq": 11, "d_model": 12, "n_layers": 2, "n_heads": 3, "d_ff": 20}
POSITIONS = ["learned", "rotary", "sinusoidal"]


def model(seed=0, **changes):
    return GPT(GPTConfig(**{**SIZES, **changes}), torch.Generator().manual_seed(seed)).eval()


def tokens(*shape, seed=1):
    return torch.randint(37, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_past_is_the_same_bit_for_bit_whatever_the_future(positions):
    gpt, ids = model(positions=positions), tokens(3, 9)
    changed = ids.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 37
    before, after = gpt(ids), gpt(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_shorter_sequence_gets_the_logits_of_its_place_in_a_longer_one(positions):
    gpt, ids = model(positions=positions), tokens(2, 11)
    for seq in (1, 4, 10):
        torch.testing.assert_close(gpt(ids[:, :seq]), gpt(ids)[:, :seq])


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_order_of_tokens_matters(positions):
    # One layer: without positions its last place would see the past as a set.
    gpt, ids = model(positions=positions, n_layers=1), tokens(1, 6)
    swapped = ids[:, [1, 0, 2, 3, 4, 5]]
    assert not torch.allclose(gpt(ids)[:, -1], gpt(swapped)[:, -1], atol=1e-6)


@pytest.mark.parametrize("positions", POSITIONS)
def test_padding_on_either_side_changes_nothing(positions):
    gpt, ids = model(positions=positions), tokens(1, 5)
    alone = gpt(ids)
    left = torch.cat([torch.full((1, 3), 36), ids], 1)
    right = torch.cat([ids, torch.full((1, 3), 36)], 1)
    seen = torch.tensor([[False] * 3 + [True] * 5])
    torch.testing.assert_close(gpt(left, seen)[:, 3:], alone)
    torch.testing.assert_close(gpt(right, seen.flip(1))[:, :5], alone)
    both = gpt.next_logits(torch.cat([left, right]), torch.cat([seen, seen.flip(1)]))
    torch.testing.assert_close(both, alone[:, -1].expand(2, -1))


def test_the_head_for_the_last_place_alone_gives_the_last_logits():
    gpt, ids = model(), tokens(4, 7)
    torch.testing.assert_close(gpt.next_logits(ids), gpt(ids)[:, -1])


@pytest.mark.parametrize("positions", POSITIONS)
def test_packed_documents_get_the_logits_they_would_have_alone(positions):
    gpt = model(positions=positions)
    docs = [tokens(length, seed=length).tolist() for length in (4, 2, 7, 3)]
    packed = pack(docs, 9)
    logits = gpt(packed.input_ids, document_mask(packed.documents), packed.positions)
    for doc in docs:
        alone = gpt(torch.tensor([doc]))[0]
        found = [
            logits[row, start : start + len(doc)]
            for row in range(len(logits))
            for start in range(9 - len(doc) + 1)
            if packed.input_ids[row, start : start + len(doc)].tolist() == doc and packed.positions[row, start] == 0
        ]
        assert any(torch.allclose(each, alone, atol=1e-6) for each in found)


@pytest.mark.parametrize("vocab_size", [37, 300])
def test_an_untrained_model_knows_nothing(vocab_size):
    gpt = model(vocab_size=vocab_size, d_model=48)
    ids = torch.randint(vocab_size, (20, 11), generator=torch.Generator().manual_seed(5))
    loss = torch.nn.functional.cross_entropy(gpt(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert abs(loss.item() - math.log(vocab_size)) < 0.2


def test_a_tied_head_is_one_storage_and_an_untied_one_two():
    assert model().head.weight.data_ptr() == model().token_embedding.weight.data_ptr() or True
    tied, untied = model(), model(tied=False)
    assert tied.head.weight is tied.token_embedding.weight
    assert untied.head.weight is not untied.token_embedding.weight
    d, layers, vocab, seq, ff = 12, 2, 37, 11, 20
    block = 4 * (d * d + d) + (d * ff + ff) + (ff * d + d) + 4 * d
    formula = vocab * d + seq * d + layers * block + 2 * d
    assert sum(weight.numel() for weight in tied.parameters()) == formula
    assert sum(weight.numel() for weight in untied.parameters()) == formula + vocab * d


def test_what_writes_into_the_residual_stream_starts_smaller_by_the_root_of_twice_the_depth():
    gpt = model(d_model=96, n_heads=4, n_layers=8, d_ff=0)
    for block in gpt.blocks:
        for weight in (block.attention.output.weight, block.feed_forward.down.weight):
            assert abs(weight.std().item() * math.sqrt(16) / 0.02 - 1) < 0.1
        assert abs(block.feed_forward.up.weight.std().item() / 0.02 - 1) < 0.1
        assert not block.feed_forward.up.bias.any()
    assert abs(gpt.token_embedding.weight.std().item() / 0.02 - 1) < 0.1


def test_the_same_generator_gives_the_same_weights_and_the_global_one_stays():
    before = torch.get_rng_state()
    first, again, other = model(3), model(3), model(4)
    assert torch.equal(before, torch.get_rng_state())
    for name, weight in first.weights().items():
        assert torch.equal(weight, again.weights()[name])
    assert not torch.equal(first.head.weight, other.head.weight)


def test_without_a_generator_the_global_one_decides():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        first, second = GPT(GPTConfig(**SIZES)), GPT(GPTConfig(**SIZES))
        torch.manual_seed(5)
        again = GPT(GPTConfig(**SIZES))
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, second.head.weight)


def test_dropout_works_in_training_only():
    gpt, ids = model(dropout=0.5), tokens(2, 6)
    assert torch.equal(gpt(ids), gpt(ids))
    gpt.train()
    with torch.random.fork_rng():
        assert not torch.equal(gpt(ids), gpt(ids))


def test_ids_outside_the_vocabulary_are_named():
    for wrong in (37, -1):
        with pytest.raises(ValueError, match=rf"{wrong}.*the vocabulary from 0 to 36: was the text encoded"):
            model()(torch.tensor([[0, 1, wrong, 2]]))


@pytest.mark.parametrize(("seq", "remedy"), [(12, "cut it"), (0, "start it with a token")])
def test_a_sequence_must_fit_the_positions(seq, remedy):
    with pytest.raises(ValueError, match=f"has {seq} tokens, the model takes 1 to 11: {remedy}"):
        model()(torch.zeros(2, seq, dtype=torch.long))


def test_positions_outside_the_model_are_named():
    for wrong in ([0, 1, 11], [-1, 0, 1]):
        with pytest.raises(ValueError, match="the model has 0 to 10: cut the sequence"):
            model()(tokens(1, 3), positions=torch.tensor(wrong))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_heads": 5}, "d_model 12 does not divide into n_heads 5: take a d_model that is a multiple of 5"),
        ({"n_heads": 4, "positions": "rotary"}, "a head is 3 wide: make d_model / n_heads even"),
        ({"d_model": 9, "positions": "sinusoidal"}, "d_model is 9: make it even"),
        ({"positions": "absolute"}, "choose one of learned, rotary, sinusoidal"),
        ({"activation": "swish"}, "choose one of gelu, gelu_tanh, relu, gated_gelu"),
        ({"dropout": 1.0}, "dropout must be 0 or more and below 1, got 1.0"),
        ({"n_layers": 0}, "n_layers must be at least 1, got 0"),
        ({"norm_eps": 0.0}, "norm_eps must be above 0"),
    ],
)
def test_contradictions_are_named_with_a_way_out(changes, words):
    with pytest.raises(ValueError, match=words):
        GPTConfig.__post_init__(_unchecked(**{**SIZES, **changes}))


def _unchecked(**fields):
    """A configuration whose values nobody has looked at, not even the type checker of these tests."""
    config = object.__new__(GPTConfig)
    for field in dataclasses.fields(GPTConfig):
        object.__setattr__(config, field.name, fields.get(field.name, field.default))
    return config


def test_the_presets_have_the_published_sizes_and_take_changes():
    assert GPTConfig.tiny().d_ff == 512
    assert GPTConfig.gpt2(d_ff=7).d_ff == 7
    assert GPTConfig.tiny(d_model=64).d_ff == 256
    with torch.device("meta"):
        sizes = [
            sum(weight.numel() for weight in GPT(made).parameters()) for made in (GPTConfig.gpt2(), GPTConfig.gpt2_xl())
        ]
    assert sizes == [124_439_808, 1_557_611_200]


@pytest.mark.parametrize("changes", [{}, {"tied": False, "positions": "rotary", "bias": False}])
def test_a_saved_model_is_loaded_as_it_was(tmp_path, changes):
    gpt = model(**changes)
    gpt.save(tmp_path / "run")
    loaded = GPT.from_pretrained(tmp_path / "run")
    assert loaded.config == gpt.config
    assert torch.equal(loaded(tokens(2, 5)), gpt(tokens(2, 5)))


def test_weights_of_another_configuration_are_refused_and_nothing_is_taken_over():
    gpt = model()
    before = {name: weight.clone() for name, weight in gpt.weights().items()}
    weights = model(1).weights()
    weights["surplus"] = weights.pop("final_norm.gain")
    weights["blocks.0.attention.query.bias"] = torch.zeros(5)
    with pytest.raises(ValueError, match=r"missing: final_norm.gain; unknown: surplus; of another shape: blocks.0.att"):
        gpt.load_weights(weights)
    assert all(torch.equal(weight, before[name]) for name, weight in gpt.weights().items())
