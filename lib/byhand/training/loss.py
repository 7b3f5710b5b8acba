"""The loss of the next token, without ever holding the logits of a whole batch.

The logits of 2,048 tokens over a vocabulary of 8,192 are 64 MiB, their log-probabilities and gradients twice more, and
each is written and read once. In pieces that stay in the cache they cost less time and next to no memory. Belongs to
`byhand.training`. Built in chapter 4.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor, nn

from byhand.gpt import GPT
from byhand.packing import IGNORED

LOGITS_AT_ONCE = 2**21
"""How many logits are held at a time: 8 MiB in float32."""


def next_token_loss(
    model: nn.Module, x: Int[Tensor, "batch seq"], y: Int[Tensor, "batch seq"], *rest: Tensor
) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
    """The cross-entropy of the next token, as a sum in nats, and over how many targets; -100 is not scored.

    A sum and a count, not a mean: parts of a batch can then be added, whatever the number of targets in each.

    Args:
        model: a GPT, whose head is applied piece by piece, or any module from (batch, seq) ids, and `rest`, to
            (batch, seq, vocab) logits.
        x: inputs.
        y: the token after each.
        rest: what else the model is called with: an attention mask, positions.
    """
    count = (y != IGNORED).sum()
    # A head that was replaced (by an adapter, a quantized one) is called; torch.compile makes pieces by itself.
    if isinstance(model, GPT) and type(model.head) is nn.Linear and not torch.compiler.is_compiling():
        hidden: Tensor = model.hidden(x, *rest)
        return linear_cross_entropy(hidden.flatten(0, 1), model.head.weight, y.flatten()), count
    logits = model(x, *rest)
    total = F.cross_entropy(logits.flatten(0, -2), y.flatten(), ignore_index=IGNORED, reduction="sum")
    return total, count


def linear_cross_entropy(
    hidden: Float[Tensor, "tokens d_model"], weight: Float[Tensor, "vocab d_model"], targets: Int[Tensor, " tokens"]
) -> Float[Tensor, ""]:
    """The summed cross-entropy of `hidden @ weight.T`, in nats, with the gradients of both; -100 is not scored.

    Since d loss / d logits is softmax minus one-hot, the gradients are known as soon as the logits are, and each
    piece of them can be forgotten at once (Wijmans et al. 2024; Hsu et al. 2024, section 3). Under autocast the
    products are in its dtype, the softmax in float32.

    >>> hidden, weight = torch.eye(2), torch.tensor([[0.0, 0.0], [1.0, -1.0]])
    >>> round(linear_cross_entropy(hidden, weight, torch.tensor([0, -100])).item(), 4)
    1.3133
    """
    wanted = torch.is_grad_enabled()  # inside a Function it never is
    total: Tensor = _LinearCrossEntropy.apply(hidden, weight, targets, wanted)  # type: ignore[no-untyped-call]
    return total


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, wanted: bool) -> Tensor:
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        wide = torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype
        to_hidden, to_weight = (wanted and needed for needed in ctx.needs_input_grad[:2])
        total = torch.zeros((), dtype=wide, device=hidden.device)
        with torch.autocast(device, enabled=False):
            matrix = weight.to(dtype)
            for_hidden = torch.empty_like(hidden) if to_hidden else None
            for_weight = torch.zeros_like(weight, dtype=wide) if to_weight else None
            size = max(1, LOGITS_AT_ONCE // len(weight))
            for start in range(0, len(hidden), size):
                piece, ids = hidden[start : start + size].to(dtype), targets[start : start + size, None].long()
                scored = ids != IGNORED
                ids = ids.masked_fill(~scored, 0)
                logits = (piece @ matrix.T).to(wide)
                log_sums = logits.logsumexp(-1, keepdim=True)
                total += (log_sums - logits.gather(-1, ids)).masked_fill(~scored, 0.0).sum()
                if not (to_hidden or to_weight):
                    continue
                slopes = logits.sub_(log_sums).exp_()
                slopes.scatter_add_(-1, ids, slopes.new_full((), -1.0).expand_as(ids))
                slopes = slopes.masked_fill_(~scored, 0.0).to(dtype)
                if for_hidden is not None:
                    for_hidden[start : start + size] = slopes @ matrix
                if for_weight is not None and dtype == wide:
                    for_weight.addmm_(slopes.T, piece)
                elif for_weight is not None:
                    for_weight += slopes.T @ piece
        ctx.save_for_backward(for_hidden, None if for_weight is None else for_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (slope,) = slopes
        for_hidden, for_weight = (None if kept is None else kept * slope for kept in ctx.saved_tensors)
        return for_hidden, for_weight, None, None
