"""Which operation computes in which dtype: torch's autocast by hand.

Holds the lists of operations, a mode that applies them to every call of torch inside it, and a trace of what comes
out of a model's parts. Leaves out the cache of cast weights, without which this mode casts a weight each time it is
used. Built in chapter 15.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from byhand.training import evaluating

LOW = {"cpu": torch.bfloat16, "cuda": torch.float16}
"""The narrow dtype of each kind of device."""

PRODUCTS = frozenset(
    ("matmul", "mm", "bmm", "addmm", "baddbmm", "linear", "einsum", "conv1d", "conv2d", "scaled_dot_product_attention")
)
"""Sums of many products: nearly all of the work, and the hardware adds them up in float32."""

LOSSES = frozenset(("cross_entropy", "nll_loss", "mse_loss", "kl_div", "binary_cross_entropy_with_logits", "prod"))
"""In float32 everywhere."""

REDUCTIONS = frozenset(
    (
        "softmax",
        "log_softmax",
        "layer_norm",
        "group_norm",
        "sum",
        "cumsum",
        "norm",
        "exp",
        "log",
        "log1p",
        "pow",
        "rsqrt",
        "reciprocal",
        "softplus",
    )
)
"""In float32 on a GPU, where narrow means fp16 and exp(12) is infinite; a CPU's bfloat16 has float32's range."""

KEEPING = frozenset(
    (
        "add",
        "sub",
        "mul",
        "div",
        "gelu",
        "relu",
        "tanh",
        "sigmoid",
        "silu",
        "dropout",
        "embedding",
        "mean",
        "amax",
        "transpose",
        "reshape",
        "logsumexp",
        "sqrt",
    )
)
"""In whatever dtype comes, the widest of several."""


def dtype_policy(op: str, inputs: torch.dtype = torch.float32, device: str = "cpu") -> torch.dtype:
    """The dtype in which an operation computes and answers under autocast.

    Args:
        op: the operation's name in torch, such as "matmul", "softmax", "layer_norm", "cross_entropy", "sum".
        inputs: the widest dtype of its inputs; float64 is never cast.
        device: "cpu", where the narrow dtype is bfloat16, or "cuda", where it is float16.

    Raises:
        ValueError: when the operation is on none of the lists, or there is no such device.

    >>> dtype_policy("matmul"), dtype_policy("layer_norm"), dtype_policy("softmax", torch.float16, "cuda")
    (torch.bfloat16, torch.float32, torch.float32)
    """
    if device not in LOW:
        raise ValueError(f"device is {device!r}; choose one of {', '.join(LOW)}")
    if op not in PRODUCTS | LOSSES | REDUCTIONS | KEEPING:
        known = ", ".join(sorted(PRODUCTS | LOSSES | REDUCTIONS | KEEPING))
        raise ValueError(f"{op!r} is on none of the lists; they hold {known}")
    if inputs == torch.float64:
        return inputs
    if op in PRODUCTS:
        return LOW[device]
    if op in LOSSES or (op in REDUCTIONS and device == "cuda"):
        return torch.float32
    return inputs


class Autocast(TorchFunctionMode):
    """Inside it, every operation of torch gets its floating-point inputs in the dtype of `dtype_policy`.

    Operations in place and those on no list are left alone. Gradients come back in the dtype of what was cast:
    float32 weights get float32 gradients.

    Args:
        device: "cpu" or "cuda".

    >>> with Autocast():
    ...     out = torch.ones(2, 2) @ torch.ones(2, 2)
    >>> out.dtype
    torch.bfloat16
    """

    def __init__(self, device: str = "cpu") -> None:
        super().__init__()
        self.device = device
        dtype_policy("matmul", device=device)  # refuses another device at once

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        op = name[2:-2].removeprefix("r") if name in ("__matmul__", "__rmatmul__") else name
        if op not in PRODUCTS | LOSSES | REDUCTIONS:
            return func(*args, **(kwargs or {}))

        def cast(value: Any) -> Any:
            if not isinstance(value, Tensor) or not value.is_floating_point():
                return value
            return value.to(dtype_policy(op, value.dtype, self.device))

        return func(*tree_map(cast, args), **tree_map(cast, dict(kwargs or {})))


def autocast_trace(model: nn.Module, *inputs: Tensor) -> dict[str, torch.dtype]:
    """The dtype of what each part of a model puts out under `Autocast`, by the part's name; the model's own is "".

    The model is called once, in eval mode and without gradients.

    >>> autocast_trace(nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)), torch.zeros(2, 3))
    {'0': torch.bfloat16, '1': torch.bfloat16, '': torch.bfloat16}
    """
    return trace_dtypes(model, Autocast(inputs[0].device.type), *inputs)


def trace_dtypes(model: nn.Module, mode: Any, *inputs: Tensor) -> dict[str, torch.dtype]:
    """The dtype of what each part of a model puts out inside a mode: `Autocast()` or `torch.autocast("cpu")`."""
    seen: dict[str, torch.dtype] = {}
    hooks = []
    for name, part in model.named_modules():

        def note(_: nn.Module, inputs: Any, out: Any, name: str = name) -> None:
            if isinstance(out, Tensor):
                seen[name] = out.dtype

        hooks.append(part.register_forward_hook(note))
    try:
        with evaluating(model), mode:
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return seen
