"""Quantized layers: an int8 encoder against torchao's, int4 grids against round-to-nearest, int4 against fp32."""

import copy
import functools
import random

from measure import Contenders, Finding, row

LIMIT = "at 8 sentences 70 % of byhand's time are int8 products; attention, GELU and norms are fp32 on both sides"


@functools.cache
def minilm():
    """MiniLM, its tokenizer, and first sentences of the standard library's docstrings."""
    from byhand.corpora.docstrings import docstrings
    from byhand.encoder import load_minilm

    sentences = sorted({entry.first_sentence for entry in docstrings() if 30 < len(entry.first_sentence) < 160})
    random.Random(0).shuffle(sentences)
    return *load_minilm(), sentences


def padded(sentences):
    import torch

    tokenizer = minilm()[1]
    rows = [tokenizer.encode(sentence).ids for sentence in sentences]
    longest = max(map(len, rows))
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids in rows])
    lengths = torch.tensor([[len(ids)] for ids in rows])
    return ids, torch.arange(longest) < lengths


def embed(model, ids, mask):
    """The normalised mean of each sentence's token vectors."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    with torch.inference_mode():
        hidden, kept = model(ids, mask), mask.unsqueeze(-1).float()
        return F.normalize((hidden * kept).sum(1) / kept.sum(1), dim=-1)


def int8(batch):
    from byhand.quantization import quantize_model
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    model, _, sentences = minilm()
    # Tokens differ in loudness inside the feed-forward parts only.
    mine = quantize_model(model, "int8", ["blocks.*.feed_forward.*"])
    mine = quantize_model(mine, "int8", ["blocks.*.attention.*"], per_token=False)
    theirs = copy.deepcopy(model)
    quantize_(theirs.blocks, Int8DynamicActivationInt8WeightConfig())  # its default filter takes linear layers
    many = padded(sentences[:64])
    exact = embed(model, *many)
    cosine, their_cosine = ((embed(other, *many) * exact).sum(-1).mean().item() for other in (mine, theirs))
    assert cosine >= their_cosine, (cosine, their_cosine)
    few = padded(sentences[64 : 64 + batch])
    return Contenders(
        {
            "byhand": lambda: embed(mine, *few),
            "torchao int8 dynamic": lambda: embed(theirs, *few),
            "fp32": lambda: embed(model, *few),
        },
        {"torchao int8 dynamic": f"mean cosine with fp32 {cosine:.5f}, torchao's {their_cosine:.5f}"},
    )


@row("int8 encoder, MiniLM, 1 sentence", {"torchao int8 dynamic": 2.0}, rounds=25, limit=LIMIT)
def one_sentence():
    return int8(1)


@row("int8 encoder, MiniLM, 8 sentences", {"torchao int8 dynamic": 2.0}, rounds=15, limit=LIMIT)
def eight_sentences():
    return int8(8)


@row("int4 groups of 32, MiniLM, output error on other text", {"round to nearest": 0.9})
def clipping():
    """The root of the mean, over all layers, of the squared output error's ratio; layers are not run in sequence."""
    import torch
    from byhand.quantization import Int4Linear, quantize_model, record_inputs

    model, _, sentences = minilm()

    def run(texts):
        def call(model):
            for text in texts:
                model(*padded([text]))

        return record_inputs(model, call, ["blocks.*"])

    seen, other = run(sentences[:64]), run(sentences[64:128])
    ratios = []
    for name, x in other.items():
        layer = model.get_submodule(name)
        nearest = Int4Linear.from_linear(layer, clip=False)
        found = Int4Linear.from_linear(layer, activations=seen[name])
        errors = [(x @ (made.weight - layer.weight.detach()).T).square().sum() for made in (found, nearest)]
        ratios.append((errors[0] / errors[1]).item())
    many = padded(sentences[128:192])
    exact = embed(model, *many)
    nearest = copy.deepcopy(model)
    for name in other:
        nearest.get_submodule(name).weight.data = Int4Linear.from_linear(model.get_submodule(name), clip=False).weight
    found = quantize_model(model, "int4", ["blocks.*"], activations=seen)
    cosines = [(embed(made, *many) * exact).sum(-1).mean().item() for made in (found, nearest)]
    note = f"worst layer {max(ratios) ** 0.5:.2f}; mean cosine of sentences {cosines[0]:.4f} against {cosines[1]:.4f}"
    return Finding(torch.tensor(ratios).mean().sqrt().item(), goal=0.9, note=note)


@row("int4 layer, 8 x (768 to 3,072), 1 token", limit="for information; activations in bf16")
def int4_layers():
    """Eight layers in turn, as a decoder calls them: more fp32 weights than the cache holds."""
    import torch
    from byhand.quantization import Int4Linear
    from torch import nn

    layers = [nn.Linear(768, 3072) for _ in range(8)]
    mine = [Int4Linear.from_linear(layer, clip=False) for layer in layers]
    x = torch.randn(1, 768, generator=torch.Generator().manual_seed(0))
    for layer in mine:
        exact = x @ layer.weight.T + layer.bias
        assert (layer(x) - exact).norm() < 0.005 * exact.norm()

    def call(every):
        with torch.inference_mode():
            for layer in every:
                layer(x)

    return {"byhand": lambda: call(mine), "fp32": lambda: call(layers)}
