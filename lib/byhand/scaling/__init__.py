"""What a model costs to train, and how its loss falls with what is spent.

- `byhand.scaling.flops`: multiplications of a training run, counted exactly and as 6ND; tokens and epochs.
- `byhand.scaling.laws`: fits of the loss against size and tokens, and the split of a budget that they imply.
- `byhand.scaling.memory`: where the bytes go in training.
- `byhand.scaling.sweep`: the runs behind the shipped table, `python -m byhand.scaling.sweep`.
- `byhand.scaling.speed`: how fast a machine multiplies and trains, in each precision.

Leaves out the cache of keys and values (chapter 13) and mixed precision's own account (chapter 15). Built in
chapter 12.
"""

from byhand.scaling.flops import epochs, flops_per_token, flops_utilization, matmul_parameters, tokens_seen, train_flops
from byhand.scaling.laws import (
    ScalingFit,
    ScalingSurface,
    compute_optimal,
    exact_match,
    fit_scaling,
    fit_surface,
    isoflop_minima,
)
from byhand.scaling.memory import activation_bytes, gpt_parameters, measure_activations, training_memory

__all__ = [
    "ScalingFit",
    "ScalingSurface",
    "activation_bytes",
    "compute_optimal",
    "epochs",
    "exact_match",
    "fit_scaling",
    "fit_surface",
    "flops_per_token",
    "flops_utilization",
    "gpt_parameters",
    "isoflop_minima",
    "matmul_parameters",
    "measure_activations",
    "tokens_seen",
    "train_flops",
    "training_memory",
]
