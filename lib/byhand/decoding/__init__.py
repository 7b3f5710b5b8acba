"""Decoding: from a model that gives logits to the tokens it writes.

- `byhand.decoding.filters`: what a rule does to one row of logits.
- `byhand.decoding.processors`: such rules in one form, so that they compose.
- `byhand.decoding.sampling`: picking a token.
- `byhand.decoding.generation`: the loop, for batches and prompts of different lengths.
- `byhand.decoding.stopping`, `byhand.decoding.streaming`: when to stop, and showing text while it is written.
- `byhand.decoding.beam`: the search for the likeliest sequence.
- `byhand.decoding.speculative`: guessing ahead with a cheaper model.
- `byhand.decoding.diversity`: how varied the result is.

Leaves out the cache that makes the loop fast (chapter 13). Built in chapter 8.
"""

from byhand.decoding.beam import EarlyStopping, beam_generate, beam_search
from byhand.decoding.diversity import distinct_n, ngram_entropy, repetition_rate
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
from byhand.decoding.sampling import Sampler, distribution, draw, greedy, sample
from byhand.decoding.speculative import (
    Distributions,
    Round,
    acceptance_rate,
    check_guesses,
    distributions_of,
    expected_tokens,
    speculative_decode,
    speculative_rounds,
    speculative_step,
)
from byhand.decoding.stopping import StopStrings, any_of, cut_at
from byhand.decoding.streaming import print_text, stream_text

__all__ = [
    "Bias",
    "Distributions",
    "EarlyStopping",
    "MinLength",
    "NoRepeatNgram",
    "Pick",
    "Processor",
    "RepetitionPenalty",
    "Round",
    "Sampler",
    "Step",
    "Stop",
    "StopStrings",
    "Temperature",
    "TopK",
    "TopP",
    "acceptance_rate",
    "any_of",
    "ban_repeats",
    "beam_generate",
    "beam_search",
    "chain",
    "check_guesses",
    "cut_at",
    "distinct_n",
    "distribution",
    "distributions_of",
    "draw",
    "expected_tokens",
    "generate",
    "greedy",
    "last_position",
    "ngram_entropy",
    "pad_left",
    "penalize_repeats",
    "print_text",
    "repetition_rate",
    "sample",
    "speculative_decode",
    "speculative_rounds",
    "speculative_step",
    "stream",
    "stream_text",
    "top_k_filter",
    "top_p_filter",
]
