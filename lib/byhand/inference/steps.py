"""The cache as one writes it down: a dictionary of keys and values that grows with every call.

Holds one step of a GPT with such a cache, generation with it, and what beams, rejected guesses and prompts of
different lengths ask of it. Leaves out speed: `byhand.inference.cache` allocates once and copies less, and
`byhand.inference.engine` multiplies faster. Built in chapter 13.

A cache is empty (`{}`) or holds `keys` and `values`, a tensor (batch, n_heads, length, head_dim) for each layer, and
for padded prompts `attention_mask` (batch, length), True where a token may be attended to.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byhand import decoding
from byhand.attention import attention
from byhand.blocks import Block
from byhand.decoding import Pick, greedy, pad_left
from byhand.embedding import check_ids
from byhand.gpt import GPT
from byhand.masks import causal_mask
from byhand.positions import sinusoidal

Cache = dict[str, Any]


def kv_step(
    input_ids: Int[Tensor, " seq"] | Int[Tensor, "batch seq"], cache: Cache, gpt: GPT
) -> Float[Tensor, "*batch seq d_model"]:
    """The hidden states of new tokens, which look at the cached ones and are added to the cache.

    However a text is cut into steps, the states are those that `gpt.hidden` gives for the whole.

    Args:
        input_ids: one row, or one for each row of the cache.
        cache: what was seen so far; changed in place.

    Raises:
        ValueError: when there is no token, more than the model has positions, or one outside its vocabulary.

    >>> from byhand.gpt import GPTConfig
    >>> gpt = GPT(GPTConfig.tiny(), torch.Generator().manual_seed(0))
    >>> ids, cache = torch.tensor([3, 1, 4, 1, 5]), {}
    >>> pieces = [kv_step(piece, cache, gpt) for piece in ids.split([1, 3, 1])]
    >>> torch.allclose(torch.cat(pieces), gpt.hidden(ids[None])[0], atol=1e-5)
    True
    """
    rows = input_ids if input_ids.ndim == 2 else input_ids.unsqueeze(0)
    past, seq = cached_length(cache), rows.shape[1]
    if not 0 < seq <= gpt.config.max_seq - past:
        raise ValueError(
            f"{past} tokens are cached and {seq} came, the model takes 1 to {gpt.config.max_seq} in all: "
            "cut the text and begin with an empty cache"
        )
    mask = causal_mask(seq, past + seq, rows.device)
    positions = torch.arange(past, past + seq, device=rows.device)
    if "attention_mask" in cache:
        # `padded_prefill` says beforehand what is padding; tokens that come later are all real.
        real = torch.cat([cache["attention_mask"], torch.ones_like(rows, dtype=torch.bool)], dim=-1)[:, : past + seq]
        cache["attention_mask"] = real
        mask = mask & real[:, None, None, :]
        positions = (real.long().cumsum(dim=-1) - 1).clamp(min=0)[:, past:]
    check_ids(rows, gpt.config.vocab_size)
    x, rotate = _embed(gpt, rows, positions)
    keys, values = [], []
    for number, block in enumerate(gpt.blocks):
        assert isinstance(block, Block)
        layer = block.attention
        normed = block.attention_norm(x)
        query, key, value = (
            projection(normed).unflatten(-1, (layer.n_heads, layer.head_dim)).transpose(1, 2)
            for projection in (layer.query, layer.key, layer.value)
        )
        if rotate is not None:
            query, key = rotate(query), rotate(key)
        if past:
            key = torch.cat([cache["keys"][number], key], dim=2)
            value = torch.cat([cache["values"][number], value], dim=2)
        keys.append(key)
        values.append(value)
        gathered, _ = attention(query, key, value, mask, scale=layer.scale)
        x = x + layer.output(gathered.transpose(1, 2).flatten(2))
        x = x + block.feed_forward(block.feed_forward_norm(x))
    cache["keys"], cache["values"] = keys, values
    hidden: Tensor = gpt.final_norm(x)
    return hidden if input_ids.ndim == 2 else hidden[0]


def cached_length(cache: Cache) -> int:
    """How many tokens a cache holds.

    >>> cached_length({})
    0
    """
    return int(cache["keys"][0].shape[2]) if cache.get("keys") else 0


def generate_cached(
    gpt: GPT, prefix: Int[Tensor, "batch seq"], max_new: int, pick: Pick = greedy, eos: int | None = None, pad: int = 0
) -> Int[Tensor, "batch seq_new"]:
    """`byhand.decoding.generate`, but every token goes through the model once: seq + max_new - 1 in each row.

    Raises:
        ValueError: as there, and when prefix and new tokens are more than the model has positions.
    """
    cache: Cache = {}

    def step(ids: Tensor) -> Tensor:
        logits: Tensor = gpt.head(kv_step(ids[:, cached_length(cache) :], cache, gpt)[:, -1])
        return logits

    return decoding.generate(step, prefix, max_new, pick, eos, pad)


def reorder_cache(cache: Cache, beam_idx: Int[Tensor, " rows"]) -> Cache:
    """The cache in which row i holds what row `beam_idx[i]` held: keys, values and mask.

    The old cache is left as it was. Where nothing moves the tensors are the same ones.

    Raises:
        ValueError: when a row is named that is not there.
    """
    batch = len(cache["keys"][0]) if cache.get("keys") else 0
    if len(beam_idx) and not 0 <= int(beam_idx.min()) <= int(beam_idx.max()) < batch:
        raise ValueError(f"beam_idx must name rows 0 to {batch - 1}, got {beam_idx.tolist()}")
    if beam_idx.tolist() == list(range(batch)):
        return _map(cache, lambda tensor: tensor)
    return _map(cache, lambda tensor: tensor[beam_idx])


def truncate_cache(cache: Cache, length: int) -> Cache:
    """The cache of the first `length` tokens, as views; the next step goes on from there, positions included.

    Raises:
        ValueError: when it holds fewer.
    """
    held = cached_length(cache)
    if not 0 <= length <= held:
        raise ValueError(f"cannot keep {length} tokens: the cache holds {held}; give 0 to {held}")
    if length == 0:
        return {}
    return _map(cache, lambda tensor: tensor[..., :length, :] if tensor.ndim == 4 else tensor[:, :length])


def padded_prefill(
    prompts: Sequence[Sequence[int] | Int[Tensor, " _"]], gpt: GPT, cache: Cache
) -> Float[Tensor, "batch vocab"]:
    """Feed prompts of different lengths into an empty cache; the logits of the token after each.

    Shorter prompts are padded on the left, so that all end in the last column; padding is attended to by no one
    and counts for no position. `kv_step` goes on from there.

    Raises:
        ValueError: when there is no prompt, one is empty or too long, or the cache is not empty.
    """
    if cache:
        raise ValueError(f"the cache holds {cached_length(cache)} tokens already: begin with an empty one, {{}}")
    ids, mask = pad_left([[int(token) for token in prompt] for prompt in prompts], pad=0)
    device = gpt.token_embedding.weight.device
    cache["attention_mask"] = mask.to(device)
    logits: Tensor = gpt.head(kv_step(ids.to(device), cache, gpt)[:, -1])
    return logits


def _embed(gpt: GPT, ids: Tensor, positions: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor] | None]:
    """What enters the first block, and how queries and keys turn where positions are rotary."""
    x = gpt.token_embedding(ids)
    if gpt.position_embedding is not None:
        return x + gpt.position_embedding(positions), None
    if gpt.rotary is not None:
        return x, gpt.rotary.at(positions)
    table = sinusoidal(gpt.config.max_seq, gpt.config.d_model).to(x)
    return x * math.sqrt(gpt.config.d_model) + table[positions], None


def _map(cache: Cache, change: Callable[[Tensor], Tensor]) -> Cache:
    """The cache with every tensor changed."""
    return {
        name: [change(layer) for layer in held] if isinstance(held, list) else change(held)
        for name, held in cache.items()
    }
