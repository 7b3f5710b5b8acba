"""Grids chosen for what a layer puts out, not for what its weights are.

Holds the search for the part of each group's range that its grid should cover. Leaves out rounding that makes up
for the errors of other weights (Frantar et al. 2023, GPTQ) and rescaled channels (Lin et al. 2024, AWQ). Built in
chapter 14.
"""

import itertools

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from byhand.quantization.grids import affine_grid, group_ends, grouped

CUTS = torch.linspace(0, 0.27, 10).tolist()
"""Shares of a group's range that may be cut off, at either end; no cut is the first and wins a tie."""

ROWS_AT_ONCE = 4096
"""Rows that are searched together: a vocabulary of them at once would take several times the weights' memory."""


def clip_search(
    weight: Float[Tensor, "rows columns"],
    bits: int,
    group_size: int,
    activations: Float[Tensor, "tokens columns"] | None = None,
) -> tuple[Float[Tensor, "rows groups"], Float[Tensor, "rows groups"]]:
    """The scale and zero of each group whose rounded weights change the layer's output the least.

    For each group all pairs of cuts from both ends of its range are tried. Weights beyond a cut are rounded to the
    end of the grid, the others get a finer step. An error e of a group's weights, with activations X, changes the
    output by |X e|^2 = e' (X' X) e. A row whose grids, all together, do worse than those from end to end keeps the
    latter: on these activations no output is worse than with round-to-nearest. The codes that belong to the grids
    are `round_to_grid`'s. After Lin et al. 2024, section 3.2, with the two ends apart.

    Args:
        weight: of a linear layer, (out, in).
        bits: 1 to 8.
        group_size: neighbours in a row that share a grid; the last group may be shorter.
        activations: inputs of the layer, one row a token, a few hundred of them; without any, all inputs count alike
            and the error is that of the weights.

    Raises:
        ValueError: as `quantize_groups`, and when the activations are none, not finite or of another width.

    >>> weight = torch.tensor([[0.0, 0.1, 0.2, 0.3, 0.4, 1.0]])
    >>> scale, zero = clip_search(weight, bits=1, group_size=6)
    >>> round(zero.item(), 2), round(zero.item() + scale.item(), 2)  # the two points; from end to end 0 and 1
    (0.21, 1.0)
    """
    groups = grouped(weight, group_size)
    low, high = group_ends(weight, group_size)
    gram = _gram(weight, activations)
    count, width = groups.shape[1], groups.shape[1] * group_size
    padded = F.pad(gram, (0, width - len(gram), 0, width - len(gram)))  # what only fills up a group counts nothing
    own = padded.view(count, group_size, count, group_size).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    found = [
        _search(groups[rows], low[rows], high[rows], bits, padded, own)  # rows do not know of each other
        for rows in (slice(start, start + ROWS_AT_ONCE) for start in range(0, len(groups), ROWS_AT_ONCE))
    ]
    return torch.cat([scale for scale, _ in found]), torch.cat([zero for _, zero in found])


def _search(
    groups: Tensor, low: Tensor, high: Tensor, bits: int, gram: Tensor, own: Tensor
) -> tuple[Float[Tensor, "rows groups"], Float[Tensor, "rows groups"]]:
    """`clip_search` with the inner products of the inputs: all of them, and those within each group."""
    scale, zero = plain = affine_grid(low, high, bits)
    plain_error = _rounding(groups, *plain, bits)
    least = _quadratic(plain_error, own)
    for below, above in itertools.islice(itertools.product(CUTS, CUTS), 1, None):
        tried = affine_grid(low + below * (high - low), high - above * (high - low), bits)
        loss = _quadratic(_rounding(groups, *tried, bits), own)
        better = loss < least
        least = torch.where(better, loss, least)
        scale, zero = (torch.where(better, new, old) for new, old in zip(tried, (scale, zero), strict=True))
    worse = _whole(_rounding(groups, scale, zero, bits), gram) > _whole(plain_error, gram)  # (rows, 1)
    return torch.where(worse, plain[0], scale), torch.where(worse, plain[1], zero)


def _gram(weight: Tensor, activations: Tensor | None) -> Float[Tensor, "columns columns"]:
    columns = weight.shape[1]
    dtype = torch.promote_types(weight.dtype, torch.float32)
    if activations is None:
        return torch.eye(columns, dtype=dtype, device=weight.device)
    if activations.shape[1] != columns or not len(activations):
        raise ValueError(
            f"activations have shape {tuple(activations.shape)}, the weights take {columns} inputs: "
            "give the layer's own inputs, one row a token"
        )
    activations = activations.detach().to(dtype)
    gram = activations.T @ activations / len(activations)
    if not torch.isfinite(gram).all():
        raise ValueError("activations hold NaN, infinity or numbers too large to square: mend them first")
    return gram


def _rounding(groups: Tensor, scale: Tensor, zero: Tensor, bits: int) -> Tensor:
    """What rounding to the grids changes, (rows, groups, group_size)."""
    scale, zero = scale.unsqueeze(-1), zero.unsqueeze(-1)
    return torch.addcmul(zero, ((groups - zero) / scale).round_().clamp_(0, 2**bits - 1), scale).sub_(groups)


def _quadratic(error: Tensor, own: Tensor) -> Float[Tensor, "rows groups"]:
    """Each group's part of the squared change of the output."""
    return (torch.einsum("rgi,gij->rgj", error, own) * error).sum(dim=-1)


def _whole(error: Tensor, gram: Tensor) -> Float[Tensor, "rows 1"]:
    """The squared change of each output."""
    error = error.flatten(1)
    return ((error @ gram) * error).sum(dim=-1, keepdim=True)
