"""Training with 16-bit numbers: what they hold, what they lose, and how the loss is kept.

- `byhand.precision.numbers`: the limits of a format, and the share of gradients that it drops.
- `byhand.precision.loss_scaling`: the scaled loss, with a fixed factor and with one that adapts.
- `byhand.precision.autocast`: which operation computes in which dtype.
- `byhand.precision.steps`: a training step in mixed precision, and float32 master weights.
- `byhand.precision.memory`: the bytes of a training step.

Leaves out eight-bit training. Built in chapter 15.
"""

from byhand.precision.autocast import Autocast, autocast_trace, dtype_policy
from byhand.precision.loss_scaling import DynamicLossScaler, scaled_sgd_step
from byhand.precision.memory import train_memory_mixed
from byhand.precision.numbers import representable, underflow_share
from byhand.precision.steps import MasterWeights, amp_step

__all__ = [
    "Autocast",
    "DynamicLossScaler",
    "MasterWeights",
    "amp_step",
    "autocast_trace",
    "dtype_policy",
    "representable",
    "scaled_sgd_step",
    "train_memory_mixed",
    "underflow_share",
]
