"""Decoding: from a model that gives logits to the tokens it writes.

- `byhand.decoding.filters`: what a rule does to one row of logits.
- `byhand.decoding.processors`: such rules in one form, so that they compose.
- `byhand.decoding.sampling`: picking a token.
- `byhand.decoding.generation`: the loop, for batches and prompts of different lengths.

Leaves out the cache that makes the loop fast (chapter 13). Built in chapter 8.
"""

from byhand.decoding.filters import ban_repeats, penalize_repeats, top_k_filter, top_p_filter
from byhand.decoding.generation import Pick, Step, Stop, generate, last_position, pad_left, stream
from byhand.decoding.processors import (
    Bias,
    MinLength,
    NoRepeatNgram,
    Processor,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    chain,
)
from byhand.decoding.sampling import Sampler, draw, greedy, sample

__all__ = [
    "Bias",
    "MinLength",
    "NoRepeatNgram",
    "Pick",
    "Processor",
    "RepetitionPenalty",
    "Sampler",
    "Step",
    "Stop",
    "Temperature",
    "TopK",
    "TopP",
    "ban_repeats",
    "chain",
    "draw",
    "generate",
    "greedy",
    "last_position",
    "pad_left",
    "penalize_repeats",
    "sample",
    "stream",
    "top_k_filter",
    "top_p_filter",
]
