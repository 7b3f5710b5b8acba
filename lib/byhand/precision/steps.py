"""A training step in mixed precision, and float32 weights behind a narrow model.

Holds the step with autocast and a scaled loss, and the other way to do it: a model that is all fp16 or bf16, with
float32 master weights. Leaves out the loop around a step (`byhand.training`, which takes `precision="bf16"`). Built
in chapter 15.
"""

import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn

from byhand.precision.autocast import LOW
from byhand.precision.loss_scaling import DynamicLossScaler
from byhand.probability import cross_entropy
from byhand.training import clip_gradients


def amp_step(
    model: nn.Module,
    x: Shaped[Tensor, "..."],
    y: Int[Tensor, "..."],
    optimizer: torch.optim.Optimizer,
    scaler: DynamicLossScaler | torch.amp.GradScaler,
    clip: float,
    device: str | torch.device,
) -> dict[str, float | bool]:
    """Update a float32 model once, its products computed in bfloat16 on a CPU and in float16 on a GPU.

    The logits are float32 before the loss, the loss is scaled, the gradients are unscaled before they are clipped,
    and a step with an overflow is left out. Micikevicius et al. 2018, section 3.

    Args:
        model: in float32, from `x` to logits over the classes or the vocabulary.
        x: inputs.
        y: the target of each; -100 is not scored.
        optimizer: of the model's parameters.
        scaler: of the loss.
        clip: the largest norm of all gradients together; 0 never clips.
        device: of the model; the inputs are moved there.

    Returns:
        `loss` in nats before the update, `grad_norm` of the true gradients before clipping, `stepped`, and `scale`,
        the factor that this loss had.
    """
    kind = torch.device(device).type
    optimizer.zero_grad()
    with torch.autocast(kind, dtype=LOW[kind]):
        logits = model(x.to(device))
    loss = cross_entropy(logits.float(), y.to(device))
    scale = scaler.get_scale()
    scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    scaler.unscale_(optimizer)
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    finite = all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    norm = clip_gradients(model.parameters(), clip)
    scaler.step(optimizer)
    if isinstance(scaler, torch.amp.GradScaler):
        scaler.update()
    return {"loss": loss.item(), "grad_norm": norm.item(), "stepped": finite, "scale": scale}


class MasterWeights:
    """Float32 copies of a model's weights, which the optimizer changes, while the model computes in a narrow dtype.

    An update of less than half the distance to the next narrow number would be lost in the model's own weights; in
    the copies it adds up. Making it casts the model, in place. Micikevicius et al. 2018, section 3.1.

    Args:
        model: in float32.
        dtype: float16 or bfloat16.

    Raises:
        ValueError: when the dtype is another, or a weight is not float32.

    >>> model = nn.Linear(2, 1)
    >>> master = MasterWeights(model, torch.float16)
    >>> optimizer = torch.optim.SGD(master.weights, lr=1e-4)
    >>> model(torch.ones(3, 2, dtype=torch.float16)).float().sum().backward()
    >>> master.collect_gradients()
    >>> optimizer.step()
    >>> master.write_back()
    >>> model.weight.dtype, master.weights[0].grad.dtype
    (torch.float16, torch.float32)
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype = torch.float16) -> None:
        if dtype not in (torch.float16, torch.bfloat16):
            raise ValueError(f"dtype must be float16 or bfloat16, got {dtype}: the copies are float32 already")
        for name, weight in model.named_parameters():
            if weight.dtype != torch.float32:
                raise ValueError(f"{name} is {weight.dtype}: start from float32 weights, or digits are lost at once")
        self.model = model
        self.weights = [nn.Parameter(weight.detach().clone(), weight.requires_grad) for weight in model.parameters()]
        model.to(dtype)

    @torch.no_grad()
    def collect_gradients(self) -> None:
        """Move the model's gradients to the copies, as float32; the model is left without any."""
        for weight, narrow in zip(self.weights, self.model.parameters(), strict=True):
            weight.grad = None if narrow.grad is None else narrow.grad.float()
            narrow.grad = None

    @torch.no_grad()
    def write_back(self) -> None:
        """Round the copies into the model, after a step."""
        for weight, narrow in zip(self.weights, self.model.parameters(), strict=True):
            narrow.copy_(weight)
