"""What a floating-point format can hold, and what of a model's gradients it loses.

Holds the largest number, the smallest and the step of fp16, bf16, fp32 and fp64, worked out from their bits. Leaves
out eight-bit formats, whose special values differ. Built in chapter 15.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

BITS = {torch.float16: (5, 10), torch.bfloat16: (8, 7), torch.float32: (8, 23), torch.float64: (11, 52)}
"""Bits of the exponent and of the fraction."""


def representable(dtype: torch.dtype) -> dict[str, float]:
    """What a format holds: `max`, the largest number; `tiny`, the smallest with full precision; `eps`, the step at 1.

    With e bits for the exponent and f for the fraction, exponents run to 2^(e-1) - 1 and their bias is the same
    number; a number is 1.fraction times a power of two. Below `tiny` follow the subnormal numbers, ever less precise,
    down to tiny * eps. IEEE 754-2019, section 3.4; bfloat16 is float32 without the last 16 bits.

    Raises:
        ValueError: when the dtype is none of fp16, bf16, fp32 and fp64.

    >>> representable(torch.float16)["max"], representable(torch.bfloat16)["eps"]
    (65504.0, 0.0078125)
    """
    if dtype not in BITS:
        raise ValueError(f"{dtype} is not one of {', '.join(map(str, BITS))}")
    exponent, fraction = BITS[dtype]
    top = 2 ** (exponent - 1) - 1
    eps = 2.0**-fraction
    return {"max": (2 - eps) * 2.0**top, "tiny": 2.0 ** (1 - top), "eps": eps}


def underflow_share(
    grads: Float[Tensor, "..."] | Iterable[Float[Tensor, "..."]], scale: float, dtype: torch.dtype
) -> float:
    """The share of the gradients that are not zero, but are once they are multiplied by `scale` and cast to `dtype`.

    Subnormal numbers are not zero. A share of nothing is 0. Micikevicius et al. 2018, section 3.2 and figure 3.

    Args:
        grads: one tensor or several, in float32 or wider.
        scale: of the loss, and so of all gradients.
        dtype: that the backward pass would compute in.

    Raises:
        ValueError: when `scale` is not above 0.

    >>> underflow_share(torch.tensor([1.0, 1e-8, 0.0]), scale=1.0, dtype=torch.float16)
    0.5
    >>> underflow_share(torch.tensor([1.0, 1e-8, 0.0]), scale=1024.0, dtype=torch.float16)
    0.0
    """
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale}: it multiplies the loss")
    some = lost = 0
    for grad in [grads] if isinstance(grads, Tensor) else grads:
        lasting = (grad.detach().double() * scale).to(dtype) != 0
        some += int((grad != 0).sum())
        lost += int(((grad != 0) & ~lasting).sum())
    return lost / some if some else 0.0
