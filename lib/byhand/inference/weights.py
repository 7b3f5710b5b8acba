"""How a layer's weights are stored for decoding, and the product with them.

With one token at a time a product with a matrix reads every weight once and uses it once, so time is the number of
bytes read. Holds three forms: float32 in the layouts that a CPU reads fastest, float16 with products in float32, and
int8. Leaves out measured calibration, groups and 4 bits (chapter 14). Built in chapter 13.

The kernels of torch's CPU build for float16 and int8 are announced to go; where they are missing the same numbers
are multiplied in the model's own dtype, which is slower.
"""

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

Product = Callable[[Float[Tensor, "rows width"]], Float[Tensor, "rows out"]]
"""From rows of inputs to rows of outputs: x Wᵀ + b."""
Form = Callable[[Float[Tensor, "out width"], Float[Tensor, " out"]], Product]
"""From a layer's weight and bias, stored as `nn.Linear` does, to the product with them."""

BLOCK = 32
"""Columns of the matrix that stand together in memory: two registers of 16 floats."""


def form(name: str | Form) -> Form:
    """The form of that name; a function is a form already.

    Raises:
        ValueError: when there is no form of that name.
    """
    if callable(name):
        return name
    if name not in _FORMS:
        raise ValueError(f"weights is {name!r}; choose one of {', '.join(_FORMS)}, or give a function")
    return _FORMS[name]


def plain(weight: Float[Tensor, "out width"], bias: Float[Tensor, " out"]) -> Product:
    """The product as one writes it down, with the matrix stored (in, out): any dtype, any device.

    >>> plain(torch.tensor([[1.0, 2.0]]), torch.tensor([3.0]))(torch.tensor([[1.0, 1.0]]))
    tensor([[6.]])
    """
    matrix = weight.t().contiguous()
    bias = bias.clone()

    def product(x: Tensor) -> Tensor:
        return torch.addmm(bias, x, matrix)

    return product


def full(weight: Float[Tensor, "out width"], bias: Float[Tensor, " out"]) -> Product:
    """The weights as they are; for float32 on a CPU stored twice, for one row and for several.

    One row times a matrix is a sum of the matrix' rows, weighted by the entries of x, which is what an embedding
    bag computes. Its kernel reads at nearly the speed of memory when the rows are short, so the matrix is cut into
    blocks of `BLOCK` columns, each a bag. Several rows go through oneDNN's product on a matrix packed for it.
    """
    onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    ready = onednn and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or not ready:
        return plain(weight, bias)
    out, width = weight.shape
    columns = F.pad(weight.t(), (0, -out % BLOCK)).reshape(width, -1, BLOCK)  # (width, blocks, BLOCK)
    table = columns.transpose(0, 1).flatten(0, 1).contiguous()
    blocks = columns.shape[1]
    places = _places(len(table))
    offsets = torch.arange(0, len(table), width, dtype=torch.int32)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 16)
    multiply = torch.ops.mkldnn._linear_pointwise.default
    bias = bias.clone()

    def product(x: Tensor) -> Tensor:
        if len(x) > 1:
            several: Tensor = multiply(x, packed, bias, "none", [], "")
            return several
        repeated = x.expand(blocks, width).reshape(-1)
        summed = torch.embedding_bag(table, places, offsets, False, 0, False, repeated)[0]  # (blocks, BLOCK)
        return summed.view(1, -1)[:, :out].add_(bias)

    return product


def half(weight: Float[Tensor, "out width"], bias: Float[Tensor, " out"]) -> Product:
    """The weights rounded to float16, half the bytes, and multiplied in float32.

    Exact where the weights are float16 already, as those of shipped checkpoints are.

    Raises:
        ValueError: when a weight is too large for float16.
    """
    rounded = weight.half()
    if not bool(rounded.isfinite().all()):
        raise ValueError(
            f"a weight of {float(weight.abs().max()):g} is beyond float16's 65504: keep this model in fp32"
        )
    if (
        weight.device.type != "cpu"
        or weight.dtype != torch.float32
        or not hasattr(torch, "fbgemm_pack_gemm_matrix_fp16")
    ):
        return plain(rounded.to(weight), bias)
    multiply = torch.fbgemm_linear_fp16_weight_fp32_activation
    bias = bias.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both functions announce, once, that they will go
        packed = torch.fbgemm_pack_gemm_matrix_fp16(rounded.float())
        multiply(weight.new_zeros(1, weight.shape[1]), packed, bias)

    def product(x: Tensor) -> Tensor:
        y: Tensor = multiply(x, packed, bias)
        return y

    return product


def int8(weight: Float[Tensor, "out width"], bias: Float[Tensor, " out"]) -> Product:
    """The weights as int8 with one scale for each output; inputs are rounded to 8 bits, too, as they come.

    Products are added up in int32. One scale for all rows of inputs: a row's result depends a little on the rows
    beside it.
    """
    # Without the VNNI instructions two products are added in 16 bits, which full-sized weights would overflow.
    largest = 127 if weight.device.type == "cpu" and torch.cpu._is_vnni_supported() else 63
    scale = weight.abs().amax(dim=1).clamp(min=torch.finfo(weight.dtype).tiny) / largest
    rounded = (weight / scale[:, None]).round().to(torch.int8)
    if (
        weight.device.type != "cpu"
        or weight.dtype != torch.float32
        or not hasattr(torch, "fbgemm_pack_quantized_matrix")
    ):
        return plain(rounded.to(weight) * scale[:, None], bias)
    multiply = torch.fbgemm_linear_int8_weight_fp32_activation
    sums, nothing, bias = rounded.sum(1, dtype=torch.int32), torch.zeros_like(bias), bias.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed = torch.fbgemm_pack_quantized_matrix(rounded)
        multiply(weight.new_zeros(1, weight.shape[1]), rounded, packed, sums, 1.0, 0, nothing)

    def product(x: Tensor) -> Tensor:
        whole = multiply(x, rounded, packed, sums, 1.0, 0, nothing)
        return torch.addcmul(bias, whole, scale)

    return product


_FORMS: dict[str, Form] = {"fp32": full, "fp16": half, "int8": int8}
_numbers = torch.arange(0, dtype=torch.int32)


def _places(count: int) -> Tensor:
    """The numbers below `count`, a view of one tensor that all products share."""
    global _numbers
    if len(_numbers) < count:
        _numbers = torch.arange(count, dtype=torch.int32)
    return _numbers[:count]
