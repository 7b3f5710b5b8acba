"""A task that can only be solved from the context: key-value pairs under a mapping that is new in every row.

Holds the batches on which in-context learning can be watched as it appears. Leaves out the model and its
training (chapter 4). Built in chapter 9.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def icl_batch(
    vocab_size: int, n_pairs: int, pool: int, batch: int, rng: torch.Generator
) -> tuple[Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"]]:
    """Rows `key value key value ...` of n_pairs pairs, and where the loss counts: on values that can be known.

    The first half of the vocabulary are keys, the second half values. Each row picks `pool` of the keys, gives
    each a value at random, and draws its pairs from them with replacement, so keys come back. The mapping is
    fresh in every row: nothing about it can be stored in weights. A value counts when its key stood earlier in
    the row; the value of a key seen for the first time is a guess, at 2 / vocab_size. Synthetic tasks of this
    kind: Garg et al. 2022; Olsson et al. 2022 on the copying that solves it.

    Args:
        vocab_size: number of tokens, even.
        n_pairs: pairs in a row; a row has twice as many tokens.
        pool: different keys in a row at most.
        batch: number of rows.
        rng: of all draws.

    Returns:
        The ids, and a mask that is True at the value tokens themselves (to be predicted from the place before).

    Raises:
        ValueError: when the vocabulary is not even, or a size is out of its range.

    >>> ids, loss_mask = icl_batch(vocab_size=8, n_pairs=3, pool=1, batch=2, rng=torch.Generator().manual_seed(0))
    >>> bool((ids[:, 1::2] == ids[:, 1:2]).all())
    True
    >>> loss_mask.int().tolist()
    [[0, 0, 0, 1, 0, 1], [0, 0, 0, 1, 0, 1]]
    """
    half = vocab_size // 2
    if vocab_size < 2 or vocab_size % 2:
        raise ValueError(f"vocab_size must be even and at least 2, half keys and half values; got {vocab_size}")
    if not 1 <= pool <= half:
        raise ValueError(f"pool must lie between 1 and the {half} keys of the vocabulary, got {pool}")
    if n_pairs < 1 or batch < 1:
        raise ValueError(f"n_pairs and batch must be at least 1, got n_pairs={n_pairs}, batch={batch}")
    keys = torch.rand(batch, half, generator=rng).argsort(dim=1)[:, :pool]
    values = half + torch.randint(half, (batch, pool), generator=rng)
    drawn = torch.randint(pool, (batch, n_pairs), generator=rng)
    ids = torch.stack([keys.gather(1, drawn), values.gather(1, drawn)], dim=-1).flatten(1)
    before = torch.ones(n_pairs, n_pairs, dtype=torch.bool).tril(-1)  # (pair, earlier pair)
    seen = ((drawn[:, :, None] == drawn[:, None, :]) & before).any(-1)
    return ids, torch.stack([torch.zeros_like(seen), seen], dim=-1).flatten(1)
