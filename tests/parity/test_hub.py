"""The tables of names know every weight that transformers saves for BERT, GPT-2 and T5, and nothing else."""

import pytest
from byhand import hub


def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            n_layer=11, n_embd=8, n_head=2, n_inner=12, vocab_size=13, n_positions=6, bos_token_id=0, eos_token_id=0
        )
    )


def bert():
    from transformers import BertConfig, BertForPreTraining

    return BertForPreTraining(
        BertConfig(vocab_size=13, hidden_size=8, num_hidden_layers=11, num_attention_heads=2, intermediate_size=12)
    )


def t5(projection):
    from transformers import T5Config, T5ForConditionalGeneration

    sizes = {"d_model": 8, "d_kv": 3, "d_ff": 12, "num_layers": 3, "num_decoder_layers": 11, "num_heads": 2}
    return T5ForConditionalGeneration(T5Config(vocab_size=13, feed_forward_proj=projection, **sizes))


@pytest.mark.parametrize(
    ("build", "names", "layers"),
    [
        (gpt2, hub.GPT2, 11),
        (bert, hub.BERT_WITH_HEADS, 11),
        (lambda: t5("relu"), hub.T5, 3),
        (lambda: t5("gated-gelu"), hub.T5, 3),
    ],
    ids=["gpt2", "bert", "t5 1.0", "t5 1.1"],
)
@pytest.mark.parametrize("saved", ["in memory", "one file", "shards"])
def test_every_saved_weight_has_a_name_of_ours(build, names, layers, saved, tmp_path):
    model = build()
    weights = model.state_dict()
    if saved != "in memory":
        model.save_pretrained(tmp_path, max_shard_size="3KB" if saved == "shards" else "1GB")
        assert (tmp_path / "model.safetensors.index.json").exists() == (saved == "shards")
        weights = hub.read_weights(tmp_path)
        hub.read_config(tmp_path)
    ours, unknown = hub.rename(weights, names)
    assert unknown == []
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    counted = sum(weight.numel() for name, weight in ours.items() if name != "head.weight")
    assert counted == sum(parameter.numel() for parameter in model.parameters())
    assert any(f".{layers - 1}." in name for name in ours)
