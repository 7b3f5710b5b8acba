"""Linear layers with eight-bit weights and eight-bit activations.

Holds the product of integers as it is defined, and a layer that computes it by the fastest kernel at hand. Leaves
out static scales for activations, which need calibration, and training. Built in chapter 14.
"""

import functools
import math

import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor, nn

from byhand.quantization.grids import at_least_normal, dequantize, quantize_symmetric
from byhand.quantization.layers import QuantizedLinear, copy_of


def quantize_tokens(
    x: Float[Tensor, "batch columns"],
) -> tuple[Int8[Tensor, "batch columns"], Float[Tensor, "batch 1"]]:
    """Codes -127 ... 127 for activations, with a scale for each row: one loud token does not coarsen the others.

    Dettmers et al. 2022, section 2.1.

    >>> codes, scale = quantize_tokens(torch.tensor([[1.0, -2.0], [100.0, 50.0]]))
    >>> codes.tolist()
    [[64, -127], [127, 64]]
    """
    x = x.detach().to(torch.promote_types(x.dtype, torch.float32))
    scale = at_least_normal(x.abs().amax(dim=-1, keepdim=True) / 127)
    return (x / scale).round_().clamp_(-127, 127).to(torch.int8), scale


def int8_linear(
    x: Float[Tensor, "batch columns"],
    codes: UInt8[Tensor, "rows columns"],
    scale: Float[Tensor, "rows 1"],
    zero: Float[Tensor, "rows 1"],
    bias: Float[Tensor, " rows"] | None = None,
) -> Float[Tensor, "batch rows"]:
    """A linear layer whose long sums are sums of integers, for weights from `quantize_affine`.

    The activations are rounded by `quantize_tokens`; with x = s * a and weights w = scale * q + zero,

        x @ w.T = s * (scale * (a @ q.T) + zero * sum(a)),

    where `a @ q.T` and `sum(a)` are exact integers: products of two bytes need 16 bits and their sum 32. The second
    term is the zero point's; without it every output is off by a multiple of the sum of its inputs. Jacob et al.
    2018, section 2.3.

    Raises:
        ValueError: when the widths of `x` and the codes differ.

    >>> codes, scale, zero = torch.tensor([[0, 255]], dtype=torch.uint8), torch.ones(1, 1), torch.tensor([[-100.0]])
    >>> int8_linear(torch.tensor([[127.0, 127.0]]), codes, scale, zero).item() == 127 * (255 - 100 - 100)
    True
    """
    if x.shape[1] != codes.shape[1]:
        raise ValueError(f"x has {x.shape[1]} columns, but the codes are for {codes.shape[1]}")
    a, s = quantize_tokens(x)
    # A GPU has no product of int32 matrices; doubles hold the same integers, exactly.
    wide = torch.float64 if x.is_cuda else torch.int32
    products = a.to(wide) @ codes.to(wide).T
    sums = a.sum(dim=1, keepdim=True, dtype=torch.int32)
    y = s * (scale.T * products + zero.T * sums)
    return (y if bias is None else y + bias).to(x.dtype)


class Int8Linear(QuantizedLinear):
    """A linear layer with int8 weights, a scale for each row, and activations rounded to eight bits at each call.

    On x86 its kernel is FBGEMM's, whose grid for the activations covers all tokens of a call; with `per_token` each
    token is divided by its largest value first. Elsewhere, and once torch has dropped that kernel, it is the int8
    product `torch._int_mm`, always with a scale for each token. Dettmers et al. 2022, section 2.1.

    Args:
        codes: signed weights, (out, in).
        scale: of each row.
        bias: added to the output.
        per_token: whether each token's activations have a scale of their own. It costs a tenth of the time or more,
            and matters where some tokens are far louder than others, as in a feed-forward part.

    >>> layer = Int8Linear.from_linear(nn.Linear(3, 2))
    >>> layer(torch.zeros(1, 5, 3)).shape, {name: str(part.dtype) for name, part in layer.state_dict().items()}
    (torch.Size([1, 5, 2]), {'bias': 'torch.float32', 'codes': 'torch.int8', 'scale': 'torch.float32'})
    """

    codes: Tensor
    scale: Tensor

    def __init__(
        self,
        codes: Int8[Tensor, "rows columns"],
        scale: Float[Tensor, "rows 1"],
        bias: Float[Tensor, " rows"] | None = None,
        per_token: bool = True,
    ) -> None:
        super().__init__(codes.shape[1], codes.shape[0], bias)
        self.per_token = per_token
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)

    @classmethod
    def from_linear(cls, linear: nn.Linear, per_token: bool = True) -> "Int8Linear":
        """A layer that takes the place of another, its weights rounded to nearest.

        Raises:
            ValueError: when a weight is not finite.
        """
        codes, scale = quantize_symmetric(linear.weight, bits=8)
        return cls(codes, scale, copy_of(linear.bias), per_token)

    @property
    def weight(self) -> Float[Tensor, "rows columns"]:
        """The weights that the codes stand for."""
        return dequantize(self.codes, self.scale.float())

    def multiply(self, rows: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch rows"]:
        """The layer in float32."""
        loudness = rows.abs().amax(dim=-1, keepdim=True) if self.per_token else rows.sum()
        # One broken number would spoil FBGEMM's grid for all tokens; the product of integers keeps them apart.
        if rows.is_cuda or not has_fbgemm() or not (len(rows) and math.isfinite(loudness.amax().item())):
            return self._multiply_integers(rows)
        multiply = torch.ops.quantized.linear_dynamic
        if not self.per_token:
            whole: Tensor = multiply(rows, self.packed(_pack_with_bias), not _adds_in_32_bits())
            return whole
        peak = at_least_normal(loudness)
        product = multiply(rows / peak, self.packed(_pack_without_bias), not _adds_in_32_bits())
        return product.mul_(peak) if self.bias is None else torch.addcmul(self.bias, product, peak)

    def _multiply_integers(self, rows: Tensor) -> Tensor:
        codes, scale = quantize_tokens(rows)
        if rows.is_cuda:  # its product of int8 sets conditions on the shapes; doubles are exact as well
            products = codes.double() @ self.codes.double().T
        else:
            products = torch._int_mm(codes, self.packed(_pack_transposed))
        y = products * (scale * self.scale.T)
        return (y if self.bias is None else y + self.bias).float()


@functools.cache
def has_fbgemm() -> bool:
    """Whether torch has FBGEMM's dynamic int8 product here; it says that it will be removed."""
    try:
        engine = torch.backends.quantized.engine
        return engine in ("x86", "fbgemm") and torch.ops.quantized.linear_dynamic is not None
    except (AttributeError, RuntimeError):
        return False


@functools.cache
def _adds_in_32_bits() -> bool:
    """Without VNNI, sums of two products saturate at 16 bits, so that activations may have 7 bits only."""
    return bool(torch.cpu._is_vnni_supported())


def _pack_without_bias(layer: Int8Linear) -> object:
    # Zero points that are not int64 would choose another scheme, whose product leaves its result unwritten.
    zeros = torch.zeros(layer.out_features, dtype=torch.int64)
    weight = torch.quantize_per_channel(layer.weight, layer.scale.double().flatten(), zeros, 0, torch.qint8)
    return torch.ops.quantized.linear_prepack(weight, None)


def _pack_with_bias(layer: Int8Linear) -> object:
    weight, _ = torch.ops.quantized.linear_unpack(_pack_without_bias(layer))
    return torch.ops.quantized.linear_prepack(weight, None if layer.bias is None else layer.bias.float())


def _pack_transposed(layer: Int8Linear) -> object:
    return layer.codes.T.contiguous()
