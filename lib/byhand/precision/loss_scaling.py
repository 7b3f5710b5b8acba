"""Loss scaling: keeping small gradients above what fp16 can hold.

Holds one step of SGD with a scaled loss, and the scaler that finds the factor by itself. Leaves out gradients of
several optimizers under one scale, and of several processes. Built in chapter 15.
"""

from typing import Any

import torch
from jaxtyping import Float, Float16, Float32
from torch import Tensor


def scaled_sgd_step(
    w: Float32[Tensor, "*shape"], g: Float16[Tensor, "*shape"], k: float, lr: float
) -> tuple[Float32[Tensor, "*shape"], bool, float]:
    """One step of SGD on float32 weights, from the fp16 gradient of a loss that was multiplied by `k`.

    The gradient is first float32 and then divided, since a small number divided in fp16 would be zero. Where one is
    infinite or not a number nothing is learned, and `k` is halved. Micikevicius et al. 2018, section 3.2.

    Returns:
        The new weights, whether a step was made, and the factor for the next loss.

    Raises:
        ValueError: when the shapes differ or `k` is not above 0.

    >>> weight, gradient = torch.ones(1), torch.tensor([1.0], dtype=torch.float16)
    >>> scaled_sgd_step(weight, gradient, k=8.0, lr=0.1)
    (tensor([0.9875]), True, 8.0)
    >>> scaled_sgd_step(weight, gradient * torch.inf, k=8.0, lr=0.1)
    (tensor([1.]), False, 4.0)
    """
    if w.shape != g.shape:
        raise ValueError(f"weights of shape {tuple(w.shape)} have a gradient of shape {tuple(g.shape)}")
    if not k > 0:
        raise ValueError(f"k must be above 0, got {k}: it multiplies the loss")
    if not torch.isfinite(g).all():
        return w.clone(), False, k / 2
    return w - lr * (g.float() / k), True, k


class DynamicLossScaler:
    """The factor of the loss: as large as the gradients allow, found by trying.

    It starts high. A step whose gradients overflow is left out, and the factor is multiplied by `backoff`; after
    `interval` steps in a row without one it is multiplied by `growth`. The same factors and the same steps left out
    as with `torch.amp.GradScaler` and one optimizer. Micikevicius et al. 2018, section 3.2.

    Args:
        init: the first factor.
        growth: at least 1.
        backoff: between 0 and 1.
        interval: steps before the factor grows.

    Raises:
        ValueError: when a setting is out of its range.

    >>> weight = torch.ones(1, requires_grad=True)
    >>> optimizer, scaler = torch.optim.SGD([weight], lr=0.5), DynamicLossScaler(init=4.0, interval=1)
    >>> scaler.scale(weight.sum()).backward()
    >>> scaler.step(optimizer), weight.item(), scaler.get_scale()
    (True, 0.5, 8.0)
    """

    def __init__(self, init: float = 65536.0, growth: float = 2.0, backoff: float = 0.5, interval: int = 2000) -> None:
        if not (0 < init < torch.inf and growth >= 1 and 0 < backoff < 1 and interval >= 1):
            raise ValueError(
                f"need init > 0, growth >= 1, 0 < backoff < 1 and interval >= 1, got {init}, {growth}, {backoff} "
                f"and {interval}"
            )
        self._scale = _float32(init)
        self.growth = growth
        self.backoff = backoff
        self.interval = interval
        self._steps = 0  # since the factor last changed
        self._finite: bool | None = None  # whether the gradients were, once they are unscaled

    def get_scale(self) -> float:
        """The factor of the next loss."""
        return self._scale

    def scale(self, loss: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The loss to call backward on."""
        return loss * self._scale

    @torch.no_grad()
    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients by the factor, in place and in float32: what is to be clipped is the true gradient.

        `step` does it unless it was done.

        Raises:
            ValueError: when it was done since the last step, no parameter has a gradient, or one is not in float32.
        """
        if self._finite is not None:
            raise ValueError("the gradients are unscaled already: call step(optimizer) before the next backward pass")
        gradients = [w.grad for group in optimizer.param_groups for w in group["params"] if w.grad is not None]
        if not gradients:
            raise ValueError("no parameter of the optimizer has a gradient: call scale(loss).backward() first")
        for gradient in gradients:
            if gradient.dtype in (torch.float16, torch.bfloat16):
                raise ValueError(
                    f"a gradient is {gradient.dtype}, which loses small numbers when it is unscaled: let the "
                    "optimizer have float32 weights, as byhand.precision.MasterWeights keeps them"
                )
        self._finite = all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
        torch._foreach_mul_(gradients, _float32(1 / self._scale))

    def step(self, optimizer: torch.optim.Optimizer) -> bool:
        """Step if all gradients are finite, adapt the factor, and say whether a step was made.

        Raises:
            ValueError: as `unscale_`.
        """
        if self._finite is None:
            self.unscale_(optimizer)
        stepped, self._finite = bool(self._finite), None
        if not stepped:
            self._scale, self._steps = _float32(self._scale * self.backoff), 0
            return False
        optimizer.step()
        self._steps += 1
        if self._steps == self.interval:
            grown = _float32(self._scale * self.growth)
            self._scale, self._steps = grown if grown < torch.inf else self._scale, 0
        return True

    def state_dict(self) -> dict[str, Any]:
        """What a run that goes on needs: the factor and the steps since it changed."""
        return {"scale": self._scale, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._scale, self._steps = float(state["scale"]), int(state["steps"])


def _float32(value: float) -> float:
    """The nearest number of float32, the dtype that losses are multiplied in."""
    return torch.tensor(value, dtype=torch.float32).item()
