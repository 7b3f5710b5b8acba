"""Linear layers with four-bit weights in groups.

Holds grids whose scale and zero are stored in 16 bits, and a layer on them. Leaves out quantized activations, which
four-bit weights do not need: where they pay, reading the weights is the cost. Built in chapter 14.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from byhand.quantization.bits import pack4, packed_length, unpack4
from byhand.quantization.clipping import clip_search
from byhand.quantization.grids import affine_grid, dequantize, group_ends, round_to_grid
from byhand.quantization.layers import QuantizedLinear, copy_of

KERNEL_GROUPS = (32, 64, 128, 256)
KERNEL_ROWS = 16
"""What torch's product of four-bit weights demands: these group sizes, and outputs in multiples of 16."""


def stored_grid(
    low: Float[Tensor, "rows groups"], high: Float[Tensor, "rows groups"], bits: int, dtype: torch.dtype
) -> tuple[Float[Tensor, "rows groups"], Float[Tensor, "rows groups"]]:
    """Step and start of a grid in a narrow dtype that still covers all from `low` to `high`.

    The start is rounded down and the step up, so that no weight moves by more than half of the step that is stored.

    Raises:
        ValueError: when an end is too large for the dtype.

    >>> scale, zero = stored_grid(torch.tensor([[-1.001]]), torch.tensor([[1.0]]), 4, torch.bfloat16)
    >>> zero.item() <= -1.001, zero.item() + 15 * scale.item() >= 1.0
    (True, True)
    """
    zero = _rounded(low, dtype, -torch.inf)
    scale, _ = affine_grid(zero.to(low.dtype), high, bits)
    scale = _rounded(scale, dtype, torch.inf)
    if not (torch.isfinite(scale) & torch.isfinite(zero)).all():
        raise ValueError(f"weights up to {float(high.abs().max()):.3g} do not fit {dtype}: take a wider dtype")
    return scale, zero


class Int4Linear(QuantizedLinear):
    """A linear layer with four-bit weights in groups, each with a scale and a zero in bfloat16: 5 bits at groups of 32.

    Where torch has a product for them (on a CPU, for groups of 32, 64, 128 or 256 that fill the rows, and outputs
    in multiples of 16) inputs are rounded to bfloat16; elsewhere the weights are dequantized for each call. It pays
    for few rows at a time, where reading the weights is the cost.

    Args:
        codes: weights packed by `pack4`, (out, bytes).
        scale: of each group.
        zero: what code 0 of each group stands for.
        in_features: width of the input.
        group_size: neighbours in a row that share a grid.
        bias: added to the output.

    Raises:
        ValueError: when the codes do not fill rows of `in_features` weights.

    >>> layer = Int4Linear.from_linear(nn.Linear(64, 16))
    >>> layer(torch.zeros(1, 5, 64)).shape, layer.codes.shape, layer.scale.shape
    (torch.Size([1, 5, 16]), torch.Size([16, 32]), torch.Size([16, 2]))
    """

    codes: Tensor
    scale: Tensor
    zero: Tensor

    def __init__(
        self,
        codes: UInt8[Tensor, "rows bytes"],
        scale: Float[Tensor, "rows groups"],
        zero: Float[Tensor, "rows groups"],
        in_features: int,
        group_size: int,
        bias: Float[Tensor, " rows"] | None = None,
    ) -> None:
        if codes.shape[1] != packed_length(in_features, 4):
            raise ValueError(f"{in_features} codes fill {packed_length(in_features, 4)} bytes, got {codes.shape[1]}")
        super().__init__(in_features, codes.shape[0], bias)
        self.group_size = group_size
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.register_buffer("zero", zero)

    @classmethod
    def from_linear(
        cls,
        linear: nn.Linear,
        group_size: int = 32,
        activations: Float[Tensor, "tokens columns"] | None = None,
        clip: bool = True,
    ) -> "Int4Linear":
        """A layer that takes the place of another.

        Args:
            linear: what it stands for.
            group_size: neighbours in a row that share a grid.
            activations: inputs of the layer for `clip_search`, one row a token.
            clip: whether to search for the best grids; otherwise weights are rounded to nearest between their ends.

        Raises:
            ValueError: as `clip_search`.
        """
        low, high = group_ends(linear.weight, group_size)
        if clip:
            scale, low = clip_search(linear.weight, 4, group_size, activations)
            high = low + 15 * scale
        scale, zero = stored_grid(low, high, 4, torch.bfloat16)
        codes = round_to_grid(linear.weight, scale.to(low.dtype), zero.to(low.dtype), 4, group_size)
        return cls(pack4(codes), scale, zero, linear.in_features, group_size, copy_of(linear.bias))

    @property
    def weight(self) -> Float[Tensor, "rows columns"]:
        """The weights that the codes stand for."""
        return dequantize(unpack4(self.codes, self.in_features), self.scale.float(), self.zero.float(), self.group_size)

    def multiply(self, rows: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch rows"]:
        """The layer in float32, with inputs in bfloat16 where torch has a kernel."""
        if rows.is_cuda or not has_int4_kernel(self.in_features, self.out_features, self.group_size):
            return super().multiply(rows)
        codes, grid = self.packed(_pack_for_kernel)
        y: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(rows.bfloat16(), codes, self.group_size, grid).float()
        return y if self.bias is None else y.add_(self.bias)


def has_int4_kernel(in_features: int, out_features: int, group_size: int) -> bool:
    """Whether torch multiplies four-bit weights of these sizes on a CPU.

    >>> has_int4_kernel(384, 1536, group_size=20)
    False
    """
    fits = group_size in KERNEL_GROUPS and in_features % group_size == 0 and out_features % KERNEL_ROWS == 0
    return fits and hasattr(torch.ops.aten, "_weight_int4pack_mm_for_cpu")


def _pack_for_kernel(layer: Int4Linear) -> tuple[Tensor, Tensor]:
    codes = unpack4(layer.codes, layer.in_features).int()
    scale = layer.scale.float()
    centre = layer.zero.float() + 8 * scale  # the kernel counts codes from -8
    grid = torch.stack([scale.T, centre.T], dim=-1).bfloat16().contiguous()  # (groups, rows, 2)
    return torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1), grid


def _rounded(values: Tensor, dtype: torch.dtype, towards: float) -> Tensor:
    """The nearest value of a narrow dtype that does not lie on the other side."""
    narrow = values.to(dtype)
    beyond = narrow.to(values.dtype) < values if towards > 0 else narrow.to(values.dtype) > values
    return torch.where(beyond, torch.nextafter(narrow, torch.full_like(narrow, towards)), narrow)
