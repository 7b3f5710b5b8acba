"""One update: the step, the size of the gradients, and the learning rate.

Holds the plain training step of the chapter, the schedule and clipping. Belongs to `byhand.training`. Built in
chapter 4.
"""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from byhand.probability import cross_entropy


def train_step(
    model: nn.Module,
    x: Int[Tensor, "batch seq"],
    y: Int[Tensor, "batch seq"],
    optimizer: torch.optim.Optimizer,
    clip: float,
) -> dict[str, float]:
    """Update a model once: forget old gradients, backward, clip, step.

    Args:
        model: from (batch, seq) ids to (batch, seq, vocab) logits.
        x: inputs.
        y: the token after each; -100 is not scored.
        optimizer: of the model's parameters.
        clip: the largest norm of all gradients together; 0 never clips.

    Returns:
        `loss`, the mean in nats before the update, and `grad_norm`, the norm before clipping.
    """
    optimizer.zero_grad()
    loss = cross_entropy(model(x), y)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = clip_gradients(model.parameters(), clip)
    optimizer.step()
    return {"loss": loss.item(), "grad_norm": norm.item()}


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], clip: float, scale: float | Tensor = 1.0) -> Float[Tensor, ""]:
    """Multiply all gradients by `scale`, then by what brings their common norm down to `clip` where it is larger.

    One factor for all, so that the direction of the update stays (Pascanu et al. 2013, algorithm 1). Both
    multiplications are one pass. With `clip` 0 nothing is clipped.

    Returns:
        The norm after scaling and before clipping.

    >>> weight = torch.zeros(2, requires_grad=True)
    >>> weight.grad = torch.tensor([3.0, 4.0])
    >>> clip_gradients([weight], 1.0)
    tensor(5.)
    >>> weight.grad
    tensor([0.6000, 0.8000])
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return torch.tensor(0.0)
    norm: Tensor = torch.stack(torch._foreach_norm(gradients)).norm() * scale
    factor = torch.as_tensor(scale, device=norm.device, dtype=norm.dtype)
    if clip > 0:
        factor = factor * (clip / (norm + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, factor)
    return norm


def lr_at(step: int, warmup: int, total: int, lr: float, lr_min: float) -> float:
    """The learning rate: a straight rise to `lr`, then half a cosine down to `lr_min`.

    0 at step 0 (unless there is no warm-up), `lr` at step `warmup`, `lr_min` at step `total` and after it
    (Loshchilov and Hutter 2017, equation 5, with a warm-up).

    >>> [round(lr_at(step, warmup=2, total=6, lr=1.0, lr_min=0.1), 3) for step in range(8)]
    [0.0, 0.5, 1.0, 0.868, 0.55, 0.232, 0.1, 0.1]
    """
    if step < warmup:
        return lr * step / warmup
    if step >= total:
        return lr_min
    return lr_min + (lr - lr_min) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def scheduled_lr(step: int, warmup: int, total: int, lr: float, lr_min: float, schedule: str) -> float:
    """The learning rate of update number `step`, counted from 0, of `total`; never 0 unless `lr_min` is.

    The schedule's own ends, where the rate would be 0 or exactly `lr_min`, lie one update outside of the run.

    >>> [round(scheduled_lr(step, 1, 4, 1.0, 0.0, "linear"), 3) for step in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """
    step, total = step + 1, total + 1
    if schedule == "cosine" or step < warmup:
        return lr_at(step, warmup, total, lr, lr_min)
    return lr if schedule == "constant" else lr + (lr_min - lr) * (step - warmup) / (total - warmup)
