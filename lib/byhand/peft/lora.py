"""Low-rank adaptation: a matrix stays, and the product of two thin ones is learned beside it.

Hu et al. 2022. Leaves out other ranks for other layers. Built in chapter 7.
"""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor, nn

from byhand.dropout import Dropout


class LoRALinear(nn.Module):
    """A linear layer W with a learned update: W x + alpha / rank * B A x. Hu et al. 2022, equation 3.

    A starts random and B at zero, so nothing changes before the first step, and B is the first to learn. W and its bias
    are frozen.

    Args:
        linear: the layer; it is kept, not copied.
        rank: rows of A and columns of B.
        alpha: the update's weight, divided by the rank: with another rank it need not be tuned again.
        dropout: share of the update's input that training drops.
        rng: draws A; None takes torch's global generator.

    Raises:
        ValueError: when the rank is not between 1 and the smaller side of W, or alpha is not positive.

    >>> layer = LoRALinear(nn.Linear(6, 4), rank=2, alpha=8.0)
    >>> [(name, tuple(weight.shape)) for name, weight in layer.named_parameters() if weight.requires_grad]
    [('A', (2, 6)), ('B', (4, 2))]
    """

    def __init__(
        self,
        linear: nn.Linear,
        rank: int,
        alpha: float,
        dropout: float = 0.0,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        smaller = min(linear.in_features, linear.out_features)
        if not 1 <= rank <= smaller:
            raise ValueError(
                f"rank must be between 1 and {smaller}, the smaller side of this layer, got {rank}: a larger one could "
                "not express more"
            )
        if not alpha > 0:
            raise ValueError(f"alpha must be above 0, got {alpha}")
        self.linear = linear.requires_grad_(False)
        self.rank = rank
        self.scale = alpha / rank
        self.dropout = Dropout(dropout)
        bound = 1 / math.sqrt(linear.in_features)  # as torch draws a linear layer's own weights
        drawn = torch.empty(rank, linear.in_features, dtype=linear.weight.dtype).uniform_(-bound, bound, generator=rng)
        self.A = nn.Parameter(drawn.to(linear.weight.device))
        self.B = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        self.merged = False

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        """The layer's output and the update's, or one product when the update is merged."""
        base: Tensor = self.linear(x)
        if self.merged:
            return base
        narrow = F.linear(self.dropout(x), self.A)  # (*batch, rank)
        if torch.is_autocast_enabled(x.device.type) or not base.numel() or base.ndim == 1:
            return base + self.scale * F.linear(narrow, self.B)
        # product, scale and sum in one call: the wide tensor is written once
        out = torch.addmm(base.flatten(0, -2), narrow.flatten(0, -2), self.B.T, alpha=self.scale)
        return out.view(base.shape)

    @torch.no_grad()
    def delta(self) -> Float[Tensor, "d_out d_in"]:
        """What the update adds to W.

        Raises:
            ValueError: when it holds NaN or infinity, which merging would spread over W for good.
        """
        found = self.scale * (self.B @ self.A)
        if not bool(found.isfinite().all()):
            raise ValueError("the update holds NaN or infinity: did the training diverge? The layer is unchanged")
        return found

    @torch.no_grad()
    def merge(self) -> nn.Linear:
        """A plain linear layer that does the same; this one is left as it is."""
        weight = self.linear.weight if self.merged else self.linear.weight + self.delta()
        biased = self.linear.bias is not None
        with torch.random.fork_rng(devices=[]):  # torch draws weights that are replaced below
            plain = nn.Linear(self.linear.in_features, self.linear.out_features, biased)
        plain.to(weight.device, weight.dtype)
        plain.weight.copy_(weight)
        if self.linear.bias is not None:
            plain.bias.copy_(self.linear.bias)
        return plain


def inject_lora(
    model: nn.Module,
    names: Sequence[str],
    rank: int,
    alpha: float,
    dropout: float = 0.0,
    rng: torch.Generator | None = None,
) -> int:
    """Put an update on every linear layer of these names and freeze all else; returns how many numbers learn.

    A name fits a layer whose dotted name is it or ends with it after a dot: "query", "attention.query". Layers that
    have an update already keep it, so that calling it twice changes nothing.

    Raises:
        ValueError: when a name fits no linear layer; nothing is changed then.

    >>> model = nn.ModuleDict({"query": nn.Linear(8, 8), "key": nn.Linear(8, 8)})
    >>> inject_lora(model, ["query"], rank=2, alpha=4.0)
    32
    """
    fitting: dict[str, list[tuple[nn.Module, str]]] = {name: [] for name in names}
    for path, module in model.named_modules():
        if not isinstance(module, nn.Linear | LoRALinear):
            continue
        for name in names:
            if path == name or path.endswith(f".{name}"):
                parent, _, leaf = path.rpartition(".")
                fitting[name].append((model.get_submodule(parent), leaf))
    for name, layers in fitting.items():
        if not layers:
            linear = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
            shown = ", ".join(dict.fromkeys(path.rpartition(".")[2] for path in linear))
            raise ValueError(f"no linear layer is named {name!r}; the model has {shown or 'none'}")
    model.requires_grad_(False)
    for parent, leaf in (layer for layers in fitting.values() for layer in layers):
        module = getattr(parent, leaf)
        if isinstance(module, nn.Linear):
            module = LoRALinear(module, rank, alpha, dropout, rng)
            module.train(parent.training)
            setattr(parent, leaf, module)
    count = 0
    for _, module in _lora_layers(model):
        for weight in (module.A, module.B):
            weight.requires_grad_(True)
            count += weight.numel()
    return count


@torch.no_grad()
def merge_lora(model: nn.Module) -> int:
    """Add every update to its matrix, so that the model is as fast as before; returns how many layers.

    All updates are computed before the first matrix changes: one that is NaN leaves the model whole.

    Raises:
        ValueError: when an update holds NaN or infinity.
    """
    waiting = [(module, module.delta()) for _, module in _lora_layers(model) if not module.merged]
    for module, delta in waiting:
        module.linear.weight += delta
        module.merged = True
    return len(waiting)


@torch.no_grad()
def unmerge_lora(model: nn.Module) -> int:
    """Take merged updates off again, up to rounding; returns how many layers."""
    merged = [module for _, module in _lora_layers(model) if module.merged]
    for module in merged:
        module.linear.weight -= module.delta()
        module.merged = False
    return len(merged)


def remove_lora(model: nn.Module) -> int:
    """Replace every layer by a plain one with its update merged in, for a model that is only used; returns how many."""
    layers = [(path, module, module.merge()) for path, module in _lora_layers(model)]
    for path, _, plain in layers:
        parent, _, leaf = path.rpartition(".")
        setattr(model.get_submodule(parent), leaf, plain)
    return len(layers)


def lora_weights(model: nn.Module) -> dict[str, Tensor]:
    """The updates alone, by name, ready to be stored: a few kilobytes beside a model of many megabytes."""
    return {f"{path}.{side}": getattr(module, side).detach() for path, module in _lora_layers(model) for side in "AB"}


@torch.no_grad()
def load_lora(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Take over updates that `lora_weights` gave, into a model with the same layers injected.

    Raises:
        ValueError: when names or shapes differ, or updates are merged; nothing is changed then.
    """
    own = lora_weights(model)
    differing = sorted(own.keys() ^ weights.keys())
    differing += sorted(name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape)
    if differing:
        shown = ", ".join(differing[:4] + ["..."] * (len(differing) > 4))
        raise ValueError(f"the updates do not fit this model: {shown}; inject the same layers with the same rank")
    if any(module.merged for _, module in _lora_layers(model)):
        raise ValueError("the model's updates are merged: call unmerge_lora before loading others")
    for name, tensor in own.items():
        tensor.copy_(weights[name])


def multi_lora(
    x: Float[Tensor, "batch seq d_in"],
    weight: Float[Tensor, "d_out d_in"],
    A: Float[Tensor, "tasks rank d_in"],
    B: Float[Tensor, "tasks d_out rank"],
    task: Int[Tensor, " batch"],
    scale: float = 1.0,
) -> Float[Tensor, "batch seq d_out"]:
    """A batch whose rows belong to different tasks, each with its own update of one shared matrix.

    The shared product is one call for all rows, and so are the thin ones: no loop over tasks.

    Raises:
        ValueError: when a row's task has no update.

    >>> x, weight = torch.ones(2, 1, 3), torch.zeros(1, 3)
    >>> A, B = torch.ones(2, 1, 3), torch.tensor([[[1.0]], [[10.0]]])
    >>> multi_lora(x, weight, A, B, torch.tensor([1, 0])).flatten().tolist()
    [30.0, 3.0]
    """
    if len(task) and not 0 <= int(task.min()) <= int(task.max()) < len(A):
        raise ValueError(f"tasks run from {int(task.min())} to {int(task.max())}, there are updates for {len(A)}")
    narrow = x @ A[task].transpose(1, 2)  # (batch, seq, rank)
    return F.linear(x, weight) + scale * (narrow @ B[task].transpose(1, 2))


def _lora_layers(model: nn.Module) -> list[tuple[str, LoRALinear]]:
    return [(path, module) for path, module in model.named_modules() if isinstance(module, LoRALinear)]
