"""Prefix tuning: every layer gets a few learned keys and values that all tokens can look at.

Li and Liang 2021, without the network that produces the prefix in training there. Built in chapter 7.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor, nn

from byhand.attention import MultiHeadAttention, attention
from byhand.dropout import drop
from byhand.masks import causal_mask


class PrefixAttention(nn.Module):
    """Attention whose keys and values begin with `n_prefix` learned ones; the layer itself is frozen.

    The prefix has no queries and no positions: tokens keep theirs, and every token sees all of it, also under a causal
    mask. With no prefix it is the layer.

    Args:
        layer: the pretrained attention; it is kept, not copied.
        n_prefix: how many keys and values.
        rng: draws them; None takes torch's global generator.

    Raises:
        ValueError: when n_prefix is negative.
    """

    def __init__(self, layer: MultiHeadAttention, n_prefix: int, rng: torch.Generator | None = None) -> None:
        super().__init__()
        if n_prefix < 0:
            raise ValueError(f"n_prefix must be 0 or more, got {n_prefix}")
        self.layer = layer.requires_grad_(False)
        weight = layer.key.weight
        shape = (2, n_prefix, weight.shape[0])
        drawn = torch.empty(shape, dtype=weight.dtype).normal_(0.0, 0.02, generator=rng)
        self.prefix = nn.Parameter(drawn.to(weight.device))  # keys, values

    def forward(
        self,
        x: Float[Tensor, "batch seq d_model"],
        memory: Float[Tensor, "batch total d_model"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        causal: bool = False,
        rotate: Callable[[Tensor], Tensor] | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """As `MultiHeadAttention`; mask and bias are about the tokens and leave the prefix alone."""
        layer, source = self.layer, x if memory is None else memory
        query, key, value = (
            layer.split_heads(each) for each in (layer.query(x), layer.key(source), layer.value(source))
        )
        if rotate is not None:
            query, key = rotate(query), rotate(key)
        before_key, before_value = (layer.split_heads(part.expand(len(x), -1, -1)) for part in self.prefix)
        seq, total, n_prefix = x.shape[1], key.shape[2], self.prefix.shape[1]
        seen = causal_mask(seq, total, x.device) if causal else torch.ones(1, 1, dtype=torch.bool, device=x.device)
        seen = seen if mask is None else seen & mask
        seen = F.pad(seen.expand(*seen.shape[:-2], seen.shape[-2], total), (n_prefix, 0), value=True)
        if bias is not None:
            bias = F.pad(bias.expand(*bias.shape[:-1], total), (n_prefix, 0))
        key, value = torch.cat([before_key, key], dim=2), torch.cat([before_value, value], dim=2)
        gathered, weights = attention(query, key, value, seen, bias, layer.scale)
        if self.training and layer.dropout:
            gathered = drop(weights, layer.dropout) @ value
        out: Tensor = layer.output(gathered.transpose(1, 2).flatten(2))
        return out


def inject_prefixes(model: nn.Module, n_prefix: int, rng: torch.Generator | None = None) -> int:
    """Put a prefix before every attention layer and freeze all else; returns how many numbers learn.

    Raises:
        ValueError: when the model has no attention layer, or has prefixes already.
    """
    modules = dict(model.named_modules())
    if any(isinstance(module, PrefixAttention) for module in modules.values()):
        raise ValueError("the model has prefixes already")
    layers = {path: module for path, module in modules.items() if isinstance(module, MultiHeadAttention)}
    if not layers:
        raise ValueError("the model has no byhand.attention.MultiHeadAttention to put a prefix before")
    model.requires_grad_(False)
    count = 0
    for path, layer in layers.items():
        parent, _, leaf = path.rpartition(".")
        prefixed = PrefixAttention(layer, n_prefix, rng).train(layer.training)
        setattr(model.get_submodule(parent), leaf, prefixed)
        count += prefixed.prefix.numel()
    return count
