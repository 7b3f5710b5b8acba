"""Whole models with quantized linear layers.

Holds the exchange of layers by their names, and the recording of what goes into them. Leaves out embeddings, which
are looked up and not multiplied. Built in chapter 14.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byhand.quantization.int4 import Int4Linear
from byhand.quantization.int8 import Int8Linear
from byhand.training import evaluating

Kind = Literal["int8", "int4"]


def quantize_model(
    model: nn.Module,
    kind: Kind = "int8",
    names: Sequence[str] = ("*",),
    *,
    per_token: bool = True,
    group_size: int = 32,
    activations: Mapping[str, Float[Tensor, "tokens columns"]] | None = None,
) -> nn.Module:
    """A copy of a model whose linear layers are quantized ones; the model itself is not changed.

    Everything else is copied as it is. A head that is tied to an embedding gets codes of its own.

    Args:
        model: any module with `nn.Linear` layers.
        kind: "int8" (`Int8Linear`) or "int4" (`Int4Linear`).
        names: patterns with `*` and `?` of the layers to exchange, such as "blocks.*"; all linear layers unless given.
        per_token: for "int8", whether each token's activations have a scale of their own.
        group_size: for "int4", neighbours in a row that share a grid.
        activations: for "int4", inputs of layers by their names, as `record_inputs` gives them; a layer without any
            gets the grids that are best for its weights.

    Raises:
        ValueError: when there is no such kind, no layer matches, or a weight is not finite.

    >>> model = nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 2))
    >>> [type(layer).__name__ for layer in quantize_model(model, names=["0"])]
    ['Int8Linear', 'GELU', 'Linear']
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}; choose one of {', '.join(get_args(Kind))}")
    inputs = activations or {}

    def quantize(name: str, layer: nn.Linear) -> nn.Module:
        if kind == "int8":
            return Int8Linear.from_linear(layer, per_token)
        return Int4Linear.from_linear(layer, group_size, inputs.get(name))

    # The copy takes what stands for a layer from here and never copies the layer.
    instead: dict[int, object] = {id(layer): quantize(name, layer) for name, layer in _linears(model, names).items()}
    copied = copy.deepcopy(model, instead)
    for name, layer in copied.named_modules():
        if isinstance(layer, Int8Linear | Int4Linear):
            layer.train(model.get_submodule(name).training)
    return copied


def record_inputs(
    model: nn.Module, run: Callable[[nn.Module], object], names: Sequence[str] = ("*",), tokens: int = 1024
) -> dict[str, Float[Tensor, "tokens columns"]]:
    """What goes into linear layers while `run(model)` calls the model, without gradients and dropout.

    Args:
        model: is called; its mode is left as it was.
        run: calls the model on some inputs. Padding would be recorded like any other token: leave it out.
        names: patterns of the layers to watch, as for `quantize_model`.
        tokens: at most so many rows are kept for each layer, the first ones.

    Raises:
        ValueError: when no layer matches.

    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    >>> {name: tuple(x.shape) for name, x in record_inputs(model, lambda m: m(torch.zeros(4, 5, 3))).items()}
    {'0': (20, 3), '1': (20, 2)}
    """
    kept: dict[str, list[Tensor]] = {}
    hooks = []
    for name, layer in _linears(model, names).items():
        parts = kept.setdefault(name, [])

        def keep(_: nn.Module, inputs: tuple[Tensor, ...], parts: list[Tensor] = parts) -> None:
            room = tokens - sum(map(len, parts))
            parts.append(inputs[0].detach().flatten(0, -2)[:room].clone())

        hooks.append(layer.register_forward_pre_hook(keep))
    try:
        with evaluating(model):
            run(model)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(parts) for name, parts in kept.items() if parts}


def _linears(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Linear]:
    # Subclasses of nn.Linear mean that their owner reads the weights itself.
    linears = {name: layer for name, layer in model.named_modules() if type(layer) is nn.Linear}
    found = {name: layer for name, layer in linears.items() if any(fnmatchcase(name, pattern) for pattern in names)}
    if not found:
        some = ", ".join(list(linears)[:3]) or "none"
        raise ValueError(f"no linear layer is called {' or '.join(map(repr, names))}; the model's are {some} ...")
    return found
