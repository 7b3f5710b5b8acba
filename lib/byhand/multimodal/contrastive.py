"""Contrastive learning: of all pairs in a batch, the true ones shall be the closest. Built in chapter 16."""

import torch
from jaxtyping import Float
from torch import Tensor

from byhand.probability import cross_entropy


def info_nce(
    first: Float[Tensor, "batch d_model"], second: Float[Tensor, "batch d_model"], temperature: float = 0.1
) -> Float[Tensor, ""]:
    """The symmetric contrastive loss of two views of a batch, in nats; row i of one belongs to row i of the other.

    Each vector is brought to length 1. Given one view, which of the batch's other views belongs to it is a
    classification with the cosines over the temperature as logits; the mean of both directions is the loss. van den
    Oord et al. 2018, equation 4; symmetric as in Radford et al. 2021, figure 3.

    Raises:
        ValueError: when the views differ in number, or the temperature is not positive.

    >>> far = info_nce(torch.eye(3), torch.eye(3).roll(1, 0))
    >>> bool(info_nce(torch.eye(3), torch.eye(3)) < far)
    True
    """
    if first.shape != second.shape:
        raise ValueError(f"the views must pair up row by row, got {tuple(first.shape)} and {tuple(second.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    first, second = (view / view.norm(dim=-1, keepdim=True).clamp(min=1e-12) for view in (first, second))
    logits = first @ second.T / temperature  # (batch, batch)
    own = torch.arange(len(first), device=first.device)
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
