"""LoRA beside peft's: the same function, the same gradients, the same merged weights."""

import pytest
import torch
from byhand.encoder import Encoder
from byhand.peft import inject_lora, merge_lora, unmerge_lora

IDS = torch.tensor([[3, 4, 5, 6, 0], [9, 8, 7, 1, 2]])
MASK = torch.tensor([[True, True, True, True, False], [True] * 5])


@pytest.fixture(params=[(2, 7.0, 16, 2), (5, 5.0, 24, 3)])
def both(request, tmp_path):
    """A random BERT with the same random updates, here and in peft: ours, theirs, and pairs of the updates' weights."""
    from peft import LoraConfig, get_peft_model
    from transformers import BertConfig, BertModel

    rank, alpha, d_model, n_heads = request.param
    torch.manual_seed(rank)
    config = BertConfig(
        vocab_size=30,
        hidden_size=d_model,
        num_hidden_layers=2,
        num_attention_heads=n_heads,
        intermediate_size=2 * d_model,
        max_position_embeddings=9,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    reference = BertModel(config)
    reference.save_pretrained(tmp_path)
    ours = Encoder.from_pretrained(tmp_path)
    inject_lora(ours, ["query", "value"], rank, alpha)
    settings = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["query", "value"], lora_dropout=0.0, bias="none")
    theirs = get_peft_model(reference, settings)
    pairs = []
    with torch.no_grad():
        for number, block in enumerate(ours.blocks):
            attention = theirs.base_model.model.encoder.layer[number].attention.self
            for name in ("query", "value"):
                mine, other = getattr(block.attention, name), getattr(attention, name)
                for side, adapter in (("A", other.lora_A), ("B", other.lora_B)):
                    weight = adapter["default"].weight
                    weight.normal_(0, 0.3)
                    getattr(mine, side).copy_(weight)
                    pairs.append((getattr(mine, side), weight))
    return ours, theirs, pairs


def peers_states(theirs):
    return theirs(input_ids=IDS, attention_mask=MASK.long()).last_hidden_state


def test_forward_and_gradients_are_pefts(both):
    ours, theirs, pairs = both
    hidden, expected = ours(IDS, MASK), peers_states(theirs)
    assert torch.allclose(hidden[MASK], expected[MASK], atol=1e-5)
    # the sum of squares of normalised states would be constant
    weights = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))
    (hidden * weights)[MASK].sum().backward()
    (expected * weights)[MASK].sum().backward()
    assert len(pairs) == 8
    for mine, other in pairs:
        assert other.grad.abs().max() > 1e-4
        assert torch.allclose(mine.grad, other.grad, rtol=1e-4, atol=1e-5 * float(other.grad.abs().max()))
    assert sum(p.numel() for p in ours.parameters() if p.requires_grad) == sum(
        p.numel() for p in theirs.parameters() if p.requires_grad
    )


def test_merged_weights_are_pefts(both):
    ours, theirs, _ = both
    merge_lora(ours)
    merged = theirs.merge_and_unload()
    for number, block in enumerate(ours.blocks):
        attention = merged.encoder.layer[number].attention.self
        for name in ("query", "value"):
            weight = getattr(attention, name).weight
            assert torch.allclose(getattr(block.attention, name).linear.weight, weight, atol=1e-6)
    assert torch.allclose(ours(IDS, MASK)[MASK], merged(IDS, MASK.long()).last_hidden_state[MASK], atol=1e-5)
    unmerge_lora(ours)
    assert not torch.allclose(ours.blocks[0].attention.query.linear.weight, weight, atol=1e-3)
