"""What linear layers with quantized weights have in common: their state, and their place among other layers.

Holds the base class. Its products are in `byhand.quantization.int8` and `byhand.quantization.int4`. Leaves out
training of the weights. Built in chapter 14.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor, nn


class QuantizedLinear(nn.Module):
    """A linear layer whose weights are codes; they cannot be trained.

    The state is plain tensors, so that a state dict can be saved as safetensors and loaded into a layer of the same
    sizes. The layout that a kernel wants is made from them at the first call and kept beside them, which takes the
    codes' memory once more. Where a gradient through the layer is asked for, it is that of the dequantized weights,
    and activations are not rounded. Outputs have the dtype of the inputs.

    Args:
        in_features: width of the input.
        out_features: width of the output.
        bias: added to the output.
    """

    bias: Tensor | None

    def __init__(self, in_features: int, out_features: int, bias: Float[Tensor, " rows"] | None) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.register_buffer("bias", bias)
        self._packed: dict[Callable[..., object], Any] = {}

    @property
    def weight(self) -> Float[Tensor, "rows columns"]:
        """The weights that the codes stand for, in float32.

        Raises:
            AttributeError: in this class; a layer of the kinds below has them.
        """
        raise AttributeError("weight")

    def multiply(self, rows: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch rows"]:
        """The product with the weights, plus the bias, in float32."""
        return F.linear(rows, self.weight, None if self.bias is None else self.bias.float())

    def forward(self, x: Float[Tensor, "*batch columns"]) -> Float[Tensor, "*batch rows"]:
        """The product with the weights, plus the bias.

        Raises:
            ValueError: when the inputs have another width.
        """
        if x.shape[-1] != self.in_features:
            raise ValueError(f"inputs are {x.shape[-1]} wide, but the layer was made for {self.in_features}")
        rows = x.reshape(-1, self.in_features).float()
        differentiable = rows.requires_grad and torch.is_grad_enabled()
        y = QuantizedLinear.multiply(self, rows) if differentiable else self.multiply(rows)
        return y.view(*x.shape[:-1], self.out_features).to(x.dtype)

    def packed(self, pack: Callable[[Any], object]) -> Any:
        """What `pack` makes of the layer, made once."""
        if pack not in self._packed:
            self._packed[pack] = pack(self)
        return self._packed[pack]

    def extra_repr(self) -> str:
        """The sizes, as torch's own layers show them."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

    # What a kernel was given is out of date once the state is moved or replaced, and is not copied or pickled.

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "QuantizedLinear":
        self._packed = {}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._packed = {}
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": {}}


def copy_of(bias: Tensor | None) -> Tensor | None:
    """A layer's bias as a tensor of its own, without a gradient."""
    return None if bias is None else bias.detach().clone()
