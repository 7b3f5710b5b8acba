"""Inference: decoding without computing anything twice, and with as few bytes read as can be.

- `byhand.inference.steps`: a cache of keys and values as one writes it down, in a dictionary.
- `byhand.inference.costs`: what it costs and what it saves.
- `byhand.inference.cache`: the same, allocated once.
- `byhand.inference.weights`: how a matrix is stored so that a product with one row is fast.
- `byhand.inference.engine`: a GPT with both: prefill, decode, verify.
- `byhand.inference.generation`: greedy, sampled, streamed and beam search with an engine.
- `byhand.inference.speculation`: guessing ahead with a second engine.

Leaves out serving many users at once. Built in chapter 13.
"""

from byhand.inference.cache import KVCache
from byhand.inference.costs import attention_cost, kv_bytes
from byhand.inference.engine import Engine, prepare
from byhand.inference.generation import beam_search, cached_step, generate, stream
from byhand.inference.speculation import speculate, speculate_rounds
from byhand.inference.steps import (
    cached_length,
    generate_cached,
    kv_step,
    padded_prefill,
    reorder_cache,
    truncate_cache,
)

__all__ = [
    "Engine",
    "KVCache",
    "attention_cost",
    "beam_search",
    "cached_length",
    "cached_step",
    "generate",
    "generate_cached",
    "kv_bytes",
    "kv_step",
    "padded_prefill",
    "prepare",
    "reorder_cache",
    "speculate",
    "speculate_rounds",
    "stream",
    "truncate_cache",
]
