"""Dropout, made cheap: the random numbers cost more than the layers they regularise.

Holds the function and its layer. Leaves out where a model drops (`byhand.attention`, `byhand.blocks`). Built in
chapter 3.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor, nn

_LEVELS = 2**16


def drop(x: Float[Tensor, "*axes"], share: float) -> Float[Tensor, "*axes"]:
    """Set a random share of the numbers to zero and enlarge the others, so that the mean stays.

    On a CPU four numbers are decided by one draw of 64 bits, which takes a third of the time of torch's kernel in
    float32; the share is rounded to 1/65536. Draws come from torch's global generator. Srivastava et al. 2014.

    Args:
        x: any numbers.
        share: how many are dropped, from 0 to 1.

    Raises:
        ValueError: when the share is outside 0 to 1.

    >>> set(drop(torch.ones(1000), 0.75).tolist()) == {0.0, 4.0}
    True
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share to drop must be from 0 to 1, got {share}")
    below = round(share * _LEVELS)
    if below == 0:
        return x
    if x.device.type != "cpu" or below == _LEVELS:
        return F.dropout(x, share)
    count = x.numel()
    draws = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)  # all 64 bits
    kept = draws.view(torch.int16)[:count].view(x.shape) >= below - _LEVELS // 2
    return x * (kept.to(x.dtype) * (_LEVELS / (_LEVELS - below)))


class Dropout(nn.Dropout):
    """`drop` in training, nothing in evaluation.

    >>> Dropout(0.5).eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, x: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Drop the share `p`."""
        return drop(x, self.p) if self.training else x
