"""Where a token stands: sinusoidal and rotary positions, and T5's relative bias.

Leaves out learned positions: those are an `nn.Embedding` in the models that have them. Built in chapter 3.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def sinusoidal(seq: int, d_model: int) -> Float[Tensor, "seq d_model"]:
    """One row for each position from 0: sines in the even columns, cosines in the odd ones.

    Columns 2i and 2i + 1 turn by position / 10000^(2i / d_model) radians, so that moving k places is a rotation
    that depends on k alone. float32, computed in float64. Vaswani et al. 2017, section 3.5.

    Raises:
        ValueError: when d_model is odd or a size is negative.

    >>> sinusoidal(2, 4)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])
    """
    if seq < 0 or d_model < 0 or d_model % 2:
        raise ValueError(f"need seq >= 0 and an even d_model (sines and cosines), got seq={seq}, d_model={d_model}")
    angles = torch.arange(seq, dtype=torch.float64)[:, None] * _frequencies(d_model, 10000.0)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()  # (seq, d_model / 2, 2) before


@dataclass(frozen=True)
class RotaryPositions:
    """Positions by rotation: queries and keys turn with their place, so that scores depend on distances only.

    Columns i and i + head_dim / 2 are a pair that turns by position / base^(2i / head_dim) radians (the pairing
    of the LLaMA checkpoints). Su et al. 2021 (RoFormer), section 3.2.

    Args:
        head_dim: width of a head, even.
        base: sets the slowest rotation.

    Raises:
        ValueError: when head_dim is odd.

    >>> rotary = RotaryPositions(head_dim=4)
    >>> x = torch.ones(1, 1, 2, 4)
    >>> rotary(x, torch.tensor([0, 1]))
    tensor([[[[ 1.0000,  1.0000,  1.0000,  1.0000],
              [-0.3012,  0.9900,  1.3818,  1.0099]]]])
    """

    head_dim: int
    base: float = 10000.0

    def __post_init__(self) -> None:
        if self.head_dim % 2:
            raise ValueError(f"head_dim must be even, its columns turn in pairs; got {self.head_dim}")

    def __call__(
        self,
        x: Float[Tensor, "batch n_heads seq head_dim"],
        positions: Int[Tensor, " seq"] | Int[Tensor, "batch seq"],
    ) -> Float[Tensor, "batch n_heads seq head_dim"]:
        """Turn every row of `x` by its position."""
        return self.at(positions)(x)

    def at(self, positions: Int[Tensor, " seq"] | Int[Tensor, "batch seq"]) -> Callable[[Tensor], Tensor]:
        """The rotation to these positions, for `MultiHeadAttention`'s `rotate`; its angles are computed once."""
        angles = positions[..., None] * _frequencies(self.head_dim, self.base).to(positions.device)
        angles = torch.cat([angles, angles], dim=-1).unsqueeze(-3)  # (1, seq, K) or (batch, 1, seq, K)
        cos, sin = angles.cos().float(), angles.sin().float()

        def rotate(x: Tensor) -> Tensor:
            first, second = x.chunk(2, dim=-1)
            return x * cos.to(x.dtype) + torch.cat([-second, first], dim=-1) * sin.to(x.dtype)

        return rotate


def relative_buckets(
    distance: Int[Tensor, "*axes"], n_buckets: int, max_distance: int, bidirectional: bool
) -> Int[Tensor, "*axes"]:
    """T5's bucket for each distance (key's place minus query's), a whole number below `n_buckets`.

    Half of the buckets hold one small distance each, the other half ranges that grow like a logarithm up to
    `max_distance`; all longer ones share the last. Bidirectional: the first half of all is for keys at or before
    the query, the second for those after it; else keys after the query share bucket 0. Raffel et al. 2020,
    section 2.1.

    >>> relative_buckets(torch.tensor([-200, -9, -1, 0, 1, 9]), n_buckets=32, max_distance=128, bidirectional=True)
    tensor([15,  8,  1,  0, 17, 24])
    """
    side = torch.zeros_like(distance)
    if bidirectional:
        n_buckets //= 2
        side = (distance > 0).to(distance.dtype) * n_buckets
        back = distance.abs()
    else:
        back = (-distance).clamp(min=0)
    exact = n_buckets // 2
    growth = torch.log(back.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    ranged = (exact + (growth * (n_buckets - exact)).to(distance.dtype)).clamp(max=n_buckets - 1)
    return side + torch.where(back < exact, back, ranged)


class RelativeBias(nn.Module):
    """A learned number per head and bucket of distances, added to the scores. Raffel et al. 2020, section 2.1.

    Args:
        n_buckets: number of buckets; at least 4 (2 where not bidirectional), so that some distance is exact.
        max_distance: from here on all distances share a bucket.
        n_heads: heads of the attention that it biases.
        bidirectional: whether keys after the query are told apart (an encoder).

    Raises:
        ValueError: when the buckets do not fit the distances.

    >>> RelativeBias(n_buckets=8, max_distance=20, n_heads=3, bidirectional=True)(4, 5).shape
    torch.Size([1, 3, 4, 5])
    """

    def __init__(self, n_buckets: int, max_distance: int, n_heads: int, bidirectional: bool) -> None:
        super().__init__()
        exact = n_buckets // (4 if bidirectional else 2)
        if not 0 < exact < max_distance:
            raise ValueError(
                f"n_buckets={n_buckets} with max_distance={max_distance} leaves no room: need at least "
                f"{4 if bidirectional else 2} buckets, and a max_distance above {exact}"
            )
        self.n_buckets, self.max_distance, self.bidirectional = n_buckets, max_distance, bidirectional
        self.embedding = nn.Embedding(n_buckets, n_heads)

    def forward(self, queries: int, keys: int) -> Float[Tensor, "1 n_heads queries keys"]:
        """The bias of the last `queries` places towards all `keys` places."""
        places = torch.arange(keys, device=self.embedding.weight.device)
        distance = places[None, :] - places[keys - queries :, None]
        buckets = relative_buckets(distance, self.n_buckets, self.max_distance, self.bidirectional)
        bias: Tensor = self.embedding(buckets)  # (queries, keys, n_heads)
        return bias.permute(2, 0, 1).unsqueeze(0)


def _frequencies(width: int, base: float) -> Float[Tensor, " half"]:
    """base^(-2i / width) for each pair of columns, in float64."""
    return base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
