"""The library's GPT is transformers' GPT-2: logits, gradients and loss, with weights read from its own files."""

import pytest
import torch
from byhand.gpt import GPT
from byhand.packing import IGNORED
from byhand.training import next_token_loss

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
CONFIGS = {
    "plain": {"vocab_size": 43, "n_positions": 17, "n_embd": 24, "n_layer": 3, "n_head": 4},
    "one head, untied, exact gelu": {
        "vocab_size": 31,
        "n_positions": 9,
        "n_embd": 10,
        "n_layer": 2,
        "n_head": 1,
        "n_inner": 14,
        "activation_function": "gelu",
        "layer_norm_epsilon": 1e-3,
        "tie_word_embeddings": False,
    },
    "wide": {
        "vocab_size": 97,
        "n_positions": 12,
        "n_embd": 64,
        "n_layer": 2,
        "n_head": 8,
        "activation_function": "relu",
    },
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
def pair(request, tmp_path):
    """A reference with random weights, none of them still 0 or 1, and ours, loaded from what it saved."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(**request.param, attn_implementation="eager", bos_token_id=0, eos_token_id=0)
    reference = GPT2LMHeadModel(config).eval()
    rng = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in reference.named_parameters():
            weight.normal_(1.0 if "ln" in name and name.endswith("weight") else 0.0, 0.15, generator=rng)
    reference.save_pretrained(tmp_path)
    return GPT.from_pretrained(tmp_path), reference


def drawn(reference, batch, seq):
    return torch.randint(reference.config.vocab_size, (batch, seq), generator=torch.Generator().manual_seed(seq))


@pytest.mark.parametrize(("batch", "seq"), [(1, 1), (3, 7), (2, 9)])
def test_logits_are_the_references(pair, batch, seq):
    mine, reference = pair
    ids = drawn(reference, batch, seq)
    torch.testing.assert_close(mine(ids), reference(ids).logits, **CLOSE)


def test_the_hidden_states_before_the_head_are_the_references(pair):
    mine, reference = pair
    ids = drawn(reference, 2, 8)
    torch.testing.assert_close(mine.hidden(ids), reference.transformer(ids).last_hidden_state, **CLOSE)


def test_loss_and_every_gradient_are_the_references(pair):
    mine, reference = pair
    ids = drawn(reference, 3, 8)
    labels = ids.masked_fill(torch.rand(ids.shape, generator=torch.Generator().manual_seed(1)) < 0.3, IGNORED)
    total, count = next_token_loss(mine, ids[:, :-1], labels[:, 1:])
    loss = reference(ids, labels=labels).loss
    torch.testing.assert_close(total / count, loss, **CLOSE)
    (total / count).backward()
    loss.backward()
    gradients = {name: weight.grad for name, weight in reference.named_parameters()}
    from byhand import hub

    renamed, unknown = hub.rename(gradients, hub.GPT2)
    assert not unknown
    own = dict(mine.named_parameters())
    assert renamed.keys() == own.keys()
    for name, gradient in renamed.items():
        torch.testing.assert_close(own[name].grad, gradient, **CLOSE)


def test_padded_rows_get_the_references_logits(pair):
    mine, reference = pair
    ids = drawn(reference, 3, 8)
    lengths = torch.tensor([8, 3, 5])
    seen = torch.arange(8) < lengths[:, None]
    for mask in (seen, seen.flip(1)):
        places = (mask.long().cumsum(-1) - 1).clamp(min=0)
        expected = reference(ids, attention_mask=mask.long(), position_ids=places).logits
        torch.testing.assert_close(mine(ids, mask)[mask], expected[mask], **CLOSE)


def test_a_saved_reference_that_lacks_a_weight_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(**CONFIGS["plain"], bos_token_id=0, eos_token_id=0)).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["transformer.h.0.rotor.weight"] = weights.pop("transformer.h.2.mlp.c_fc.bias")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"blocks.2.feed_forward.up.bias.*h.0.rotor.weight"):
        GPT.from_pretrained(tmp_path)


def test_another_kind_of_model_is_refused(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(**CONFIGS["plain"], bos_token_id=0, eos_token_id=0))
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"gpt2"', '"bloom"'))
    with pytest.raises(ValueError, match=r"describes a 'bloom' with activation 'gelu_new'.*choose a GPT-2"):
        GPT.from_pretrained(tmp_path)
