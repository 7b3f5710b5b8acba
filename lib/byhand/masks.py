"""Which query may look at which key: causal, padding and sparse patterns, as boolean masks.

Every mask is True where attention is allowed. Leaves out the prefix-LM mask (chapter 5) and using any of these
(`byhand.attention`). Built in chapter 3.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor


def causal_mask(
    seq: int, total: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "seq total"]:
    """Each of `seq` queries sees the keys up to its own place, the last query the last of `total` keys.

    With more keys than queries the earlier keys are a past that every query sees (the mask is aligned at the
    bottom right). Vaswani et al. 2017, section 3.2.3.

    Raises:
        ValueError: when a size is negative or there are fewer keys than queries.

    >>> causal_mask(2, 4).int()
    tensor([[1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    total = seq if total is None else total
    if not 0 <= seq <= total:
        raise ValueError(f"need 0 <= seq <= total, got seq={seq}, total={total}; total counts the past and the queries")
    return torch.ones(seq, total, dtype=torch.bool, device=device).tril(total - seq)


def padding_mask(attention_mask: Bool[Tensor, "batch seq"]) -> Bool[Tensor, "batch 1 1 seq"]:
    """The padding of a batch, shaped to broadcast over heads and queries: no query sees a padded key.

    Raises:
        TypeError: when the mask is not boolean.

    >>> padding_mask(torch.tensor([[True, True, False]])).shape
    torch.Size([1, 1, 1, 3])
    """
    if attention_mask.dtype != torch.bool:
        raise TypeError(
            f"attention_mask must be bool (True = may be attended to), got {attention_mask.dtype}; write mask.bool()"
        )
    return attention_mask[:, None, None, :]


def sparse_mask(
    seq: int, window: int, dilation: int = 1, n_global: int = 0, causal: bool = False, selected: Sequence[int] = ()
) -> Bool[Tensor, "seq seq"]:
    """Local attention like a convolution of `window` places `dilation` apart, with a few global tokens.

    An encoder's window is centred on the token, a decoder's (`causal`) ends at it. The first `n_global` tokens
    and those at the places `selected` see every token and are seen by every token; where `causal`, never the
    future. Beltagy et al. 2020 (Longformer), section 3.1; Child et al. 2019.

    Args:
        seq: length of queries and keys.
        window: tokens each one sees, itself included; odd for an encoder. At least 2 * seq - 1 is full attention.
        dilation: distance between neighbours in the window.
        n_global: how many leading tokens are global.
        causal: whether the future is hidden.
        selected: places of further global tokens.

    Raises:
        ValueError: when a size is out of range, or the window of an encoder is even.

    >>> sparse_mask(5, window=2, dilation=2, causal=True).int()
    tensor([[1, 0, 0, 0, 0],
            [0, 1, 0, 0, 0],
            [1, 0, 1, 0, 0],
            [0, 1, 0, 1, 0],
            [0, 0, 1, 0, 1]], dtype=torch.int32)
    >>> int(sparse_mask(100, window=3, n_global=1).sum())  # 100² without sparsity
    494
    """
    _check_window(window, dilation)
    if not causal and window % 2 == 0:
        raise ValueError(f"an encoder's window is centred and so must be odd, got {window}; use {window + 1}")
    if not 0 <= n_global <= seq or any(not 0 <= place < seq for place in selected):
        raise ValueError(f"global tokens must lie in 0..{seq - 1}, got n_global={n_global}, selected={list(selected)}")
    places = torch.arange(seq)
    back = places[:, None] - places[None, :]  # (query, key): how far behind the query the key lies
    reach = dilation * ((window - 1) if causal else (window // 2))
    allowed = (back.abs() <= reach) & (back % dilation == 0)
    for place in (*range(n_global), *selected):
        allowed[place, :] = allowed[:, place] = True
    return allowed.tril() if causal else allowed


def receptive_field(n_layers: int, window: int, dilation: int = 1) -> int:
    """How many places, from the first to the last it can draw on, one output of `n_layers` local layers spans.

    Each layer adds (window - 1) * dilation, for an encoder and a decoder alike; without global tokens.

    Raises:
        ValueError: when an argument is out of range.

    >>> receptive_field(n_layers=6, window=3)
    13
    """
    _check_window(window, dilation)
    if n_layers < 0:
        raise ValueError(f"n_layers must be 0 or more, got {n_layers}")
    return 1 + n_layers * (window - 1) * dilation


def _check_window(window: int, dilation: int) -> None:
    if window < 1 or dilation < 1:
        raise ValueError(f"window and dilation must be at least 1, got window={window}, dilation={dilation}")
