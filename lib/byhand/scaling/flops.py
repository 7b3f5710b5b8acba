"""Floating-point operations of a training run, and how many tokens it sees.

A multiplication and the addition that follows it count as two operations. Only matrix products are counted: norms,
activations and the softmax are below a percent at usual widths. Leaves out what the hardware makes of it, but for the
share of its peak. Built in chapter 12.
"""

import math
import operator
from typing import SupportsIndex

from byhand.gpt import GPTConfig


def matmul_parameters(config: GPTConfig) -> int:
    """The weights that take part in a matrix product: the N of 6ND.

    Looking an embedding up is no product, so position tables, biases and norms are left out, and the token table counts
    once, as the head. Kaplan et al. 2020, section 2.1, leave the head out too, which matters in small models.

    >>> matmul_parameters(GPTConfig(vocab_size=10, max_seq=4, d_model=2, n_layers=1, n_heads=1))
    68
    """
    feed_forward = (3 if config.activation == "gated_gelu" else 2) * config.d_model * config.d_ff
    return config.n_layers * (4 * config.d_model**2 + feed_forward) + config.vocab_size * config.d_model


def flops_per_token(config: GPTConfig, seq: int | None = None) -> int:
    """Operations of the forward pass for one token in a sequence of `seq` tokens, the model's longest by default.

    Two for each weight, and in each layer two products of the attention with all `seq` places, also those that the
    mask hides: they are computed all the same.

    Raises:
        ValueError: when `seq` is not positive.

    >>> config = GPTConfig(vocab_size=10, max_seq=4, d_model=2, n_layers=1, n_heads=1)
    >>> flops_per_token(config) - 2 * matmul_parameters(config)
    32
    """
    seq = config.max_seq if seq is None else seq
    if seq < 1:
        raise ValueError(f"seq must be at least 1, got {seq}")
    return 2 * matmul_parameters(config) + config.n_layers * 4 * seq * config.d_model


def train_flops(config: GPTConfig, tokens: int, exact: bool = False, seq: int | None = None) -> float:
    """Operations of training on `tokens` tokens: 6 for each weight and token, or counted with the attention.

    The backward pass takes two products for each of the forward pass, one for the gradient of the input and one for
    the weight's, which makes 6 of 2. Kaplan et al. 2020, section 2.1.

    Args:
        config: the model.
        tokens: how many it is trained on, counted once for each time they are seen.
        exact: also count the products of attention, which grow with `seq`.
        seq: length of the sequences; the model's longest by default.

    Raises:
        ValueError: when tokens are negative.

    >>> config = GPTConfig.gpt2()
    >>> train_flops(config, 10**9) == 6 * matmul_parameters(config) * 10**9
    True
    >>> 1.1 < train_flops(config, 10**9, exact=True) / train_flops(config, 10**9) < 1.2
    True
    """
    if tokens < 0:
        raise ValueError(f"tokens must not be negative, got {tokens}")
    return 3.0 * (flops_per_token(config, seq) if exact else 2 * matmul_parameters(config)) * tokens


def flops_utilization(flops: float, seconds: float, peak: float) -> float:
    """The share of the hardware's peak that a run reached (MFU). Chowdhery et al. 2022, appendix B.

    Args:
        flops: what the run needed, by `train_flops`; work done twice to save memory does not count.
        seconds: how long it took.
        peak: operations a second that the hardware can do in this precision.

    Raises:
        ValueError: when the time or the peak is not positive.

    >>> flops_utilization(3e12, seconds=10, peak=1e12)
    0.3
    """
    if seconds <= 0 or peak <= 0:
        raise ValueError(f"seconds and peak must be above 0, got {seconds} and {peak}")
    return flops / seconds / peak


def tokens_seen(batch: SupportsIndex, seq: SupportsIndex, steps: SupportsIndex) -> int:
    """How many tokens a run reads: each step a batch of sequences.

    BERT: 256 sequences of 512 tokens, a million steps (Devlin et al. 2019, appendix A.2).

    Raises:
        ValueError: when an argument is negative.

    >>> tokens_seen(256, 512, 1_000_000)
    131072000000
    """
    # numpy's 32-bit integers would wrap around
    factors = operator.index(batch), operator.index(seq), operator.index(steps)
    if min(factors) < 0:
        raise ValueError(f"batch, seq and steps must not be negative, got {batch}, {seq} and {steps}")
    return math.prod(factors)


def epochs(tokens: int, corpus_words: int, tokens_per_word: float = 1.0) -> float:
    """How often a run goes through its corpus.

    A corpus is often given in words, a run in tokens: with one token a word BERT's 131 G tokens are 39.7 times its
    3.3 G words; with the 1.3 to 1.5 tokens a word of subword vocabularies fewer times.

    Raises:
        ValueError: when the corpus or the ratio is not positive.

    >>> round(epochs(tokens_seen(256, 512, 1_000_000), 3_300_000_000), 1)
    39.7
    """
    if corpus_words <= 0 or tokens_per_word <= 0:
        raise ValueError(f"corpus_words and tokens_per_word must be above 0, got {corpus_words} and {tokens_per_word}")
    return tokens / (corpus_words * tokens_per_word)
