"""The parts around attention: normalisation, feed-forward, and the block that joins them.

Leaves out dropout (`byhand.dropout`) and the models that stack blocks (`byhand.encoder`, chapters 4 and 5).
Built in chapter 3.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor, nn

from byhand.attention import MultiHeadAttention
from byhand.dropout import Dropout

Activation = Literal["gelu", "gelu_tanh", "relu", "gated_gelu"]


def layer_norm(
    x: Float[Tensor, "*batch d_model"],
    gain: Float[Tensor, " d_model"],
    bias: Float[Tensor, " d_model"],
    eps: float = 1e-5,
) -> Float[Tensor, "*batch d_model"]:
    """Each vector of the last axis moved to mean 0 and variance 1, then scaled by `gain` and moved by `bias`.

    The variance divides by d_model and `eps` is added under the root. Half-precision input is computed in
    float32 and returned in its own dtype. Ba et al. 2016, equation 4.

    >>> layer_norm(torch.tensor([[1.0, 3.0]]), torch.ones(2), torch.zeros(2), eps=0.0)
    tensor([[-1.,  1.]])
    """
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    centred = wide - wide.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    return (centred * torch.rsqrt(variance + eps) * gain + bias).to(x.dtype)


def gelu(x: Float[Tensor, "*axes"], tanh: bool = False) -> Float[Tensor, "*axes"]:
    """x times the standard normal's probability of a value below x, or the tanh formula that approximates it.

    BERT uses the exact one, GPT-2 and T5 1.1 the other. Hendrycks and Gimpel 2016, section 2.

    >>> gelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if tanh:
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


class LayerNorm(nn.Module):
    """`layer_norm` with its learned gain and bias, by torch's kernel. Ba et al. 2016.

    >>> LayerNorm(4)(torch.ones(2, 4)).abs().sum().item()
    0.0
    """

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Normalise the last axis."""
        return F.layer_norm(x, self.gain.shape, self.gain, self.bias, self.eps)


class RMSNorm(nn.Module):
    """Divide by the root mean square and scale by a learned gain: no mean is taken off, no bias added.

    Zhang and Sennrich 2019; T5's normalisation.

    >>> RMSNorm(2, eps=0.0)(torch.tensor([[3.0, 3.0]])).tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, d_model: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Normalise the last axis."""
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        normed = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return (normed * self.gain).to(x.dtype)


class FeedForward(nn.Module):
    """Two linear layers with a nonlinearity between, the same at every place.

    Vaswani et al. 2017, section 3.3; gated: Shazeer 2020, with GPT-2's GELU, as in T5 1.1.

    Args:
        d_model: width of the input and the output.
        d_ff: width between the layers.
        activation: "gelu", "gelu_tanh", "relu", or "gated_gelu", whose `gate` is activated and multiplies `up`.
        bias: whether the linear layers add a bias.
        dropout: share of the values between the layers that training drops.

    Raises:
        ValueError: when there is no such activation.

    >>> FeedForward(d_model=4, d_ff=16, activation="relu")(torch.zeros(1, 3, 4)).shape
    torch.Size([1, 3, 4])
    """

    def __init__(
        self, d_model: int, d_ff: int, activation: Activation = "gelu", bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if activation not in _ACTIVATIONS:
            raise ValueError(f"no activation {activation!r}; there are {', '.join(_ACTIVATIONS)}")
        self.activation = activation
        self.up = nn.Linear(d_model, d_ff, bias)
        self.gate = nn.Linear(d_model, d_ff, bias) if activation == "gated_gelu" else None
        self.down = nn.Linear(d_ff, d_model, bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Widen, activate, narrow."""
        activate = _ACTIVATIONS[self.activation]
        hidden = activate(self.up(x)) if self.gate is None else activate(self.gate(x)) * self.up(x)
        out: Tensor = self.down(self.dropout(hidden))
        return out


class Block(nn.Module):
    """Attention and feed-forward, each with a norm of its own and a residual connection around it.

    With `norm_first` (GPT) each part reads a normalised copy and the residual path is never touched; without
    (BERT) the sum is normalised. Vaswani et al. 2017, section 3.1; Xiong et al. 2020.

    Args:
        d_model: width of the residual path.
        n_heads: heads of the attention.
        d_ff: inner width of the feed-forward.
        norm_first: whether to normalise before each part or after each sum.
        activation: of the feed-forward.
        dropout: share of attention weights and of each part's output that training drops.
        norm_eps: what the norms add to the variance.
        bias: whether linear layers add a bias.

    >>> Block(d_model=8, n_heads=2, d_ff=32)(torch.zeros(1, 5, 8), causal=True).shape
    torch.Size([1, 5, 8])
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        *,
        norm_first: bool = True,
        activation: Activation = "gelu",
        dropout: float = 0.0,
        norm_eps: float = 1e-5,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.attention_norm = LayerNorm(d_model, norm_eps)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.feed_forward_norm = LayerNorm(d_model, norm_eps)
        self.feed_forward = FeedForward(d_model, d_ff, activation, bias)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch seq d_model"],
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        causal: bool = False,
        rotate: Callable[[Tensor], Tensor] | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """Mix between the places, then at each place; the arguments are those of `MultiHeadAttention`."""
        if self.norm_first:
            mixed = self.attention(self.attention_norm(x), None, mask, bias, causal, rotate)
            x = x + self.dropout(mixed)
            x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        else:
            x = self.attention_norm(x + self.dropout(self.attention(x, None, mask, bias, causal, rotate)))
            x = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return x


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


# torch's kernels, which keep less for the backward pass than `gelu` does
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": _gelu_tanh,
    "relu": F.relu,
    "gated_gelu": _gelu_tanh,
}
