"""Which weights learn, and what need not be computed twice when none of the body's do. Built in chapter 6."""

import re
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


def freeze(model: nn.Module, trainable: Sequence[str]) -> int:
    """Let only the parameters learn whose name matches one of the patterns; returns how many numbers that are.

    The names are those of `model.named_parameters()`, the patterns regular expressions that may match anywhere in
    them. All other parameters get no gradient and lose the one they have, so that no optimizer moves them: a
    gradient of zero would still let weight decay shrink them.

    Raises:
        ValueError: when a pattern matches nothing, which is nearly always a misspelt name.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    >>> freeze(model, [r"^1\\."])
    4
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['1.weight', '1.bias']
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in trainable:
        if not any(re.search(pattern, name) for name in names):
            shown = ", ".join(names[:4] + ["..."] * (len(names) > 4))
            raise ValueError(f"no parameter's name matches {pattern!r}; they are {shown}")
    count = 0
    for name, parameter in model.named_parameters():
        learns = any(re.search(pattern, name) for pattern in trainable)
        parameter.requires_grad_(learns)
        if learns:
            count += parameter.numel()
        else:
            parameter.grad = None
    return count


@torch.no_grad()
def encode_once(
    encode: Callable[[Sequence[str]], Float[Tensor, "rows d_model"]], texts: Sequence[str], batch: int = 32
) -> Float[Tensor, "texts d_model"]:
    """The frozen body's features of many texts, computed once for all epochs, batch by batch.

    Args:
        encode: from texts to a vector each; its dropout must be off.
        texts: any number.
        batch: how many are encoded at a time.

    Raises:
        ValueError: when there are no texts.
    """
    if not texts:
        raise ValueError("there are no texts to encode")
    return torch.cat([encode(texts[start : start + batch]) for start in range(0, len(texts), batch)])
