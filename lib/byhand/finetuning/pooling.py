"""From a vector for each token to one for the sequence, whatever padding stands where.

BERT's own pooling, the first token through a layer, is `byhand.encoder.Encoder.pool`. Built in chapter 6.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def mean_pool(
    hidden: Float[Tensor, "batch seq d_model"], mask: Bool[Tensor, "batch seq"]
) -> Float[Tensor, "batch d_model"]:
    """The mean of each row's vectors where the mask is True; zeros for a row without any.

    What padding holds has no influence, not even NaN. Reimers and Gurevych 2019, section 3.

    Raises:
        TypeError: when the mask is not boolean.

    >>> mean_pool(torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2.]])
    """
    _check_mask(mask)
    kept = hidden.masked_fill(~mask.unsqueeze(-1), 0.0)
    return kept.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1).to(hidden.dtype)


def last_token(
    hidden: Float[Tensor, "batch seq d_model"], mask: Bool[Tensor, "batch seq"]
) -> Float[Tensor, "batch d_model"]:
    """Each row's vector at its last True place: what a causal model knows when it has read everything.

    Padding may stand on the left, on the right or between.

    Raises:
        TypeError: when the mask is not boolean.
        ValueError: when a row has no token.

    >>> last_token(torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]]))
    tensor([[3.]])
    """
    _check_mask(mask)
    if not bool(mask.any(dim=1).all()):
        empty = (~mask.any(dim=1)).nonzero().flatten().tolist()
        raise ValueError(f"rows {empty} have no token: leave them out of the batch")
    places = (mask * torch.arange(mask.shape[1], device=mask.device)).amax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), places]


def _check_mask(mask: Tensor) -> None:
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be bool (True = a token), got {mask.dtype}: write mask.bool()")
