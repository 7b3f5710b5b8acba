"""Adapters: small networks between the layers of a frozen one. Houlsby et al. 2019. Built in chapter 7."""

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor, nn

from byhand.blocks import Block


class Adapter(nn.Module):
    """Down to a few numbers, a nonlinearity, up again, and added to what came in. Houlsby et al. 2019, figure 2.

    The way up starts at zero, so the adapter starts as nothing.

    Args:
        d_model: width of what comes in.
        bottleneck: width between.
        rng: draws the way down; None takes torch's global generator.

    Raises:
        ValueError: when the bottleneck is not positive.

    >>> adapter = Adapter(d_model=8, bottleneck=2)
    >>> sum(weight.numel() for weight in adapter.parameters()) == 2 * 8 * 2 + 2 + 8
    True
    """

    def __init__(self, d_model: int, bottleneck: int, rng: torch.Generator | None = None) -> None:
        super().__init__()
        if bottleneck < 1:
            raise ValueError(f"bottleneck must be at least 1, got {bottleneck}")
        with torch.random.fork_rng(devices=[]):  # torch draws weights that are drawn again below
            self.down = nn.Linear(d_model, bottleneck)
            self.up = nn.Linear(bottleneck, d_model)
        with torch.no_grad():
            self.down.weight.normal_(0.0, 0.02, generator=rng)
            for weight in (self.down.bias, self.up.weight, self.up.bias):
                weight.zero_()

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """x and what the bottleneck adds."""
        added: Tensor = self.up(F.gelu(self.down(x)))
        return x + added


class Adapted(nn.Module):
    """A part of a block with an adapter behind it.

    Args:
        part: the pretrained part.
        adapter: applied to its output.
    """

    def __init__(self, part: nn.Module, adapter: Adapter) -> None:
        super().__init__()
        self.part = part
        self.adapter = adapter

    def forward(self, *args: object, **kwargs: object) -> Float[Tensor, "*batch d_model"]:
        """The part's output through the adapter."""
        out: Tensor = self.adapter(self.part(*args, **kwargs))
        return out


def inject_adapters(model: nn.Module, bottleneck: int, rng: torch.Generator | None = None) -> int:
    """Put an adapter behind the attention and the feed-forward part of every block and freeze all else.

    Returns how many numbers learn. The norms stay frozen too, unlike in Houlsby et al. 2019, section 2.1.

    Raises:
        ValueError: when the model has no block, or has adapters already.
    """
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    if not blocks:
        raise ValueError("the model has no byhand.blocks.Block to put adapters into")
    if any(isinstance(module, Adapter) for module in model.modules()):
        raise ValueError("the model has adapters already")
    model.requires_grad_(False)
    count = 0
    for block in blocks:
        weight = block.feed_forward.down.weight
        for name in ("attention", "feed_forward"):
            adapter = Adapter(weight.shape[0], bottleneck, rng).to(weight.device, weight.dtype)
            setattr(block, name, Adapted(getattr(block, name), adapter).train(block.training))
            count += sum(parameter.numel() for parameter in adapter.parameters())
    return count
