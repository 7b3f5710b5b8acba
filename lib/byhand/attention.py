"""Scaled dot-product attention, its multi-head layer, and cross-attention.

Holds the operation in two forms: `attention`, as one writes it down, which also returns the weights, and
`MultiHeadAttention`, which computes the same by the fastest kernel at hand. Leaves out the masks
(`byhand.masks`), positions (`byhand.positions`) and the cache of keys and values (chapter 13). Built in chapter 3.
"""

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor, nn

from byhand.dropout import drop
from byhand.masks import causal_mask, padding_mask
from byhand.probability import softmax


def attention(
    query: Float[Tensor, "batch n_heads queries head_dim"],
    key: Float[Tensor, "batch n_heads keys head_dim"],
    value: Float[Tensor, "batch n_heads keys value_dim"],
    mask: Bool[Tensor, "..."] | None = None,
    bias: Float[Tensor, "..."] | None = None,
    scale: float | None = None,
) -> tuple[Float[Tensor, "batch n_heads queries value_dim"], Float[Tensor, "batch n_heads queries keys"]]:
    """Each query's average of the values, weighted by the softmax of its scaled products with the keys.

    Returns the averages and the weights. Forbidden keys get weight exactly 0 and pass no gradient; a query that
    may look at nothing gets zeros. Vaswani et al. 2017, equation 1.

    Args:
        query: what is looked for.
        key: what it is compared with.
        value: what is averaged.
        mask: True where a query may look, broadcastable to (batch, n_heads, queries, keys).
        bias: finite numbers added to the scores, broadcastable likewise.
        scale: of the products; 1 / sqrt(head_dim) unless given.

    Raises:
        TypeError: when the mask is not boolean.
        ValueError: when there is no key.

    >>> out, weights = attention(torch.ones(1, 1, 1, 4), torch.eye(4)[None, None, :2], torch.eye(2)[None, None])
    >>> weights.flatten().tolist(), out.flatten().tolist()
    ([0.5, 0.5], [0.5, 0.5])
    """
    if key.shape[-2] == 0:
        raise ValueError("there is no key to attend to: keys and values have length 0")
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if bias is not None:
        scores = scores + bias
    if mask is None:
        weights = softmax(scores)
    else:
        _check_mask(mask)
        # A row that may look at nothing is 0 / 0 after the softmax: the second filling mends it, and the first one
        # does so on the way back.
        weights = softmax(scores.masked_fill(~mask, -math.inf)).masked_fill(~mask, 0.0)
    return weights @ value, weights


class MultiHeadAttention(nn.Module):
    """Attention in `n_heads` subspaces at once, with projections in and out.

    Vaswani et al. 2017, section 3.2.2.

    Args:
        d_model: width of the input and the output.
        n_heads: number of heads.
        head_dim: width of a head; d_model / n_heads unless given.
        bias: whether the four projections add a bias.
        scale: of the products of query and key; 1 / sqrt(head_dim) unless given.
        dropout: share of the attention weights that training drops.

    Raises:
        ValueError: when d_model cannot be cut into n_heads.

    >>> layer = MultiHeadAttention(d_model=6, n_heads=2)
    >>> layer(torch.zeros(1, 3, 6), causal=True).shape
    torch.Size([1, 3, 6])
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        head_dim: int | None = None,
        bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if head_dim is None:
            if n_heads < 1 or d_model % n_heads:
                raise ValueError(f"d_model={d_model} cannot be cut into n_heads={n_heads}; choose a divisor")
            head_dim = d_model // n_heads
        self.n_heads, self.head_dim, self.dropout = n_heads, head_dim, dropout
        self.scale = 1 / math.sqrt(head_dim) if scale is None else scale
        self.query = nn.Linear(d_model, n_heads * head_dim, bias)
        self.key = nn.Linear(d_model, n_heads * head_dim, bias)
        self.value = nn.Linear(d_model, n_heads * head_dim, bias)
        self.output = nn.Linear(n_heads * head_dim, d_model, bias)

    def forward(
        self,
        x: Float[Tensor, "batch seq d_model"],
        memory: Float[Tensor, "batch total d_model"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        causal: bool = False,
        rotate: Callable[[Tensor], Tensor] | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """What each place of `x` gathers from `memory`, or from `x` itself.

        Args:
            x: gives the queries.
            memory: gives the keys and values (cross-attention); `x` does unless given.
            mask: True where a query may look, broadcastable to (batch, n_heads, seq, total).
            bias: added to the scores, broadcastable likewise.
            causal: hides the future, on top of the mask.
            rotate: applied to queries and keys, each (batch, n_heads, seq, head_dim): rotary positions.
        """
        source = x if memory is None else memory
        query, key, value = (
            self.split_heads(projection(states))
            for projection, states in ((self.query, x), (self.key, source), (self.value, source))
        )
        if rotate is not None:
            query, key = rotate(query), rotate(key)
        dropout = self.dropout if self.training else 0.0
        gathered = _attend(query, key, value, mask, bias, causal, self.scale, dropout)
        out: Tensor = self.output(gathered.transpose(1, 2).flatten(2))
        return out

    def split_heads(self, projected: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch n_heads seq head_dim"]:
        """A projection's output, cut into heads."""
        batch, seq, _ = projected.shape
        return projected.view(batch, seq, self.n_heads, self.head_dim).transpose(1, 2)


def cross_attention(
    decoder_states: Float[Tensor, "batch seq d_model"],
    encoder_states: Float[Tensor, "batch total d_model"],
    weights: Mapping[str, Float[Tensor, "rows columns"]],
    encoder_mask: Bool[Tensor, "batch total"],
) -> Float[Tensor, "batch seq d_model"]:
    """One head of attention whose queries come from a decoder, and whose keys and values from an encoder.

    Every place of the decoder may look at every token of the encoder that is not padding: nothing is causal
    here. Vaswani et al. 2017, section 3.2.3.

    Args:
        decoder_states: of the sequence that is being written.
        encoder_states: of the sequence that was read.
        weights: the matrices "query", "key", "value" and "output", applied as `states @ matrix`.
        encoder_mask: False where the encoder's token is padding.
    """
    query = (decoder_states @ weights["query"]).unsqueeze(1)  # (batch, 1, seq, head_dim)
    key = (encoder_states @ weights["key"]).unsqueeze(1)
    value = (encoder_states @ weights["value"]).unsqueeze(1)
    gathered, _ = attention(query, key, value, padding_mask(encoder_mask))
    return gathered.squeeze(1) @ weights["output"]


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    causal: bool,
    scale: float,
    dropout: float,
) -> Tensor:
    """`attention` without its weights, by the kernel that is fastest where it runs.

    On a CPU the fused kernel wins in float32; in bfloat16 its backward takes several times as long as two products
    and a softmax.
    """
    if mask is not None:
        _check_mask(mask)
    queries, keys = query.shape[-2], key.shape[-2]
    fused = bias is None and (query.is_cuda or (dropout == 0 and query.dtype not in (torch.bfloat16, torch.float16)))
    if fused and mask is None and not (causal and queries != keys):
        return F.scaled_dot_product_attention(query, key, value, None, dropout, is_causal=causal, scale=scale)
    if causal:
        past = causal_mask(queries, keys, query.device)
        mask = past if mask is None else past & mask
    live: Tensor | None = None
    if mask is not None:
        # A row that may look at nothing looks at everything for now, so that no kernel divides zero by zero.
        live = mask.any(dim=-1, keepdim=True)
        mask = mask | ~live
    if fused:
        gathered = F.scaled_dot_product_attention(query, key, value, mask, dropout, scale=scale)
    else:
        scores = (query * scale) @ key.transpose(-2, -1)
        if bias is not None:
            scores = scores + bias
        if mask is not None:
            hidden = torch.zeros(mask.shape, dtype=scores.dtype, device=scores.device)
            scores += hidden.masked_fill_(~mask, -math.inf)  # in place: nothing needs the scores from before
        gathered = drop(torch.softmax(scores, dim=-1), dropout) @ value
    return gathered if live is None else gathered.masked_fill(~live, 0.0)


def _check_mask(mask: Tensor) -> None:
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be bool (True = may be attended to), got {mask.dtype}; `bias` adds to the scores")
