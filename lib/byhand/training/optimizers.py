"""How gradients become updates: AdamW and Muon by hand, and which parameters get what.

Holds both optimizers as `torch.optim.Optimizer`s and the choice that a `TrainingConfig` makes. Training itself takes
torch's fused AdamW, which a test holds equal to the one written here. Belongs to `byhand.training`. Built in
chapter 4.
"""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byhand.training.config import TrainingConfig

BETAS = (0.9, 0.95)
"""AdamW's memory of gradients and of their squares, as GPT-3 was trained with (Brown et al. 2020, appendix B)."""

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class AdamW(torch.optim.Optimizer):
    """Adam with weight decay that the gradient's statistics do not see (Loshchilov and Hutter 2019, algorithm 2).

    Args:
        params: parameters, or groups of them.
        lr: the learning rate.
        betas: how much of the running mean of gradients, and of squared gradients, is kept at each step.
        eps: added to the root of the mean square.
        weight_decay: share of each weight, times the rate, that a step takes off it.

    >>> weight = nn.Parameter(torch.tensor([1.0]))
    >>> weight.grad = torch.tensor([0.3])
    >>> AdamW([weight], lr=0.1, weight_decay=0.0).step()
    >>> round(weight.item(), 4)
    0.9
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, object]],
        lr: float = 1e-3,
        betas: tuple[float, float] = BETAS,
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state.update(step=0, mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
                state["step"] += 1
                state["mean"].lerp_(weight.grad, 1 - beta1)
                state["square"].lerp_(weight.grad.square(), 1 - beta2)
                # Both averages began at zero: dividing by what they could have reached removes that pull.
                mean = state["mean"] / (1 - beta1 ** state["step"])
                root = (state["square"] / (1 - beta2 ** state["step"])).sqrt()
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(group["lr"] * mean / (root + group["eps"]))


class Muon(torch.optim.Optimizer):
    """Momentum whose update of a matrix is replaced by the orthogonal matrix nearest to it (Jordan et al. 2024).

    Gradients of weight matrices are nearly of low rank: a few directions take the whole step. With all singular
    values brought to about 1 every direction learns. The update is scaled by 0.2 * sqrt(the longer side), so that
    its entries are of the size that AdamW's have and one rate serves both (Liu et al. 2025, section 2.2).

    Args:
        params: matrices.
        lr: the learning rate.
        momentum: how much of the running mean of gradients is kept at each step.
        weight_decay: share of each weight, times the rate, that a step takes off it.

    Raises:
        ValueError: when a parameter is not a matrix.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-3, momentum: float = 0.95, weight_decay: float = 0.1
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        shapes = [tuple(weight.shape) for group in self.param_groups for weight in group["params"]]
        if wrong := [shape for shape in shapes if len(shape) != 2]:
            raise ValueError(f"Muon updates matrices, got a parameter of shape {wrong[0]}: give that one to AdamW")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["mean"] = torch.zeros_like(weight)
                state["mean"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(state["mean"], group["momentum"])  # Nesterov: where the mean will be
                scale = 0.2 * math.sqrt(max(weight.shape))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(orthogonalize(ahead), alpha=group["lr"] * scale)


def orthogonalize(
    matrix: Float[Tensor, "rows columns"], steps: int = 5, dtype: torch.dtype = torch.bfloat16
) -> Float[Tensor, "rows columns"]:
    """Roughly the orthogonal factor of a matrix: its singular vectors kept, its singular values brought near 1.

    Newton-Schulz iterations of an odd polynomial of degree five, whose coefficients raise small singular values
    fast and let them end anywhere from 0.7 to 1.2 (Jordan et al. 2024). Products of matrices only, good enough in
    bfloat16.

    >>> turned = orthogonalize(torch.diag(torch.tensor([3.0, 0.2])), dtype=torch.float32)
    >>> bool(((turned.diag() > 0.6) & (turned.diag() < 1.3)).all()), float(turned[0, 1])
    (True, 0.0)
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.mT if tall else matrix).to(dtype)
    x = x / x.norm().clamp(min=1e-7)  # no singular value above 1
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrix.dtype)


def make_optimizers(model: nn.Module, config: TrainingConfig) -> list[torch.optim.Optimizer]:
    """The optimizers that a configuration asks for; together they update every parameter that wants a gradient.

    Only matrices decay: pulling a bias or a norm's gain to zero does not make a model simpler. Muon gets the
    matrices that turn one hidden vector into another; embeddings and a layer called `head`, whose rows stand for
    tokens one by one, stay with AdamW.
    """
    by_tokens = {
        id(weight) for module in model.modules() if isinstance(module, nn.Embedding) for weight in (module.weight,)
    }
    by_tokens |= {id(weight) for name, weight in model.named_parameters() if "head" in name.split(".")}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    hidden = [weight for weight in trained if weight.ndim == 2 and id(weight) not in by_tokens]
    muon = hidden if config.optimizer == "muon" else []
    rest = [weight for weight in trained if id(weight) not in {id(weight) for weight in muon}]
    groups = [
        {"params": [weight for weight in rest if weight.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [weight for weight in rest if weight.ndim < 2], "weight_decay": 0.0},
    ]
    fused = all(weight.device.type in ("cpu", "cuda") for weight in rest)
    optimizers: list[torch.optim.Optimizer] = []
    if rest:
        optimizers.append(torch.optim.AdamW(groups, lr=config.lr, betas=BETAS, eps=1e-8, fused=fused))
    if muon:
        optimizers.append(Muon(muon, lr=config.lr, weight_decay=config.weight_decay))
    return optimizers
