"""What a rule does to one row of logits: keep the likeliest few, forbid repetitions, make them dearer.

Holds the filters as plain functions: what is taken out gets minus infinity, what stays keeps its logit and its
place. Leaves out the common form in which `generate` takes them (`byhand.decoding.processors`) and drawing a
token (`byhand.decoding.sampling`). Built in chapter 8.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

ROUNDING = 1e-9
"""How far below `top_p` a mass still counts as having reached it: ten times 0.1 is not 1 in floating point."""


def top_k_filter(logits: Float[Tensor, "*batch vocab"], top_k: int) -> Float[Tensor, "*batch vocab"]:
    """Keep the `top_k` largest logits of each row, exactly so many; the rest become minus infinity.

    Of tied logits the ones with the lowest ids are kept. With `top_k` at the vocabulary's size or above, all
    are. Fan et al. 2018, section 5.4.

    Raises:
        ValueError: when `top_k` is below 1.

    >>> top_k_filter(torch.tensor([1.0, 3.0, 3.0, 3.0]), 2)
    tensor([-inf, 3., 3., -inf])
    """
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}; leave the filter out to keep every token")
    if top_k >= logits.shape[-1]:
        return logits.clone()
    smallest = logits.topk(top_k, dim=-1).values[..., -1:]
    above, tied = logits > smallest, logits == smallest
    free = top_k - above.sum(dim=-1, keepdim=True)
    return logits.masked_fill(~(above | (tied & (tied.cumsum(dim=-1) <= free))), -math.inf)


def top_p_filter(logits: Float[Tensor, "*batch vocab"], top_p: float) -> Float[Tensor, "*batch vocab"]:
    """Keep each row's smallest set of likeliest tokens whose probability is at least `top_p`.

    The token that crosses the threshold stays, so at least one does; one more than needed does not, also where
    the mass meets `top_p` exactly. Of tied tokens the ones with the lowest ids come first. 1 keeps everything,
    even what has no probability worth mentioning. Holtzman et al. 2020, section 3.1.

    Args:
        top_p: a probability between 0 and 1, not a percentage.

    Raises:
        ValueError: when `top_p` is not between 0 and 1.

    >>> top_p_filter(torch.tensor([0.1, 0.5, 0.1, 0.3]).log(), 0.8).exp()
    tensor([0.0000, 0.5000, 0.0000, 0.3000])
    """
    if not 0 <= top_p <= 1:
        raise ValueError(f"top_p must be between 0 and 1, got {top_p}; it is a probability, not a percentage")
    if top_p == 1:
        return logits.clone()
    ordered, order = logits.double().sort(dim=-1, descending=True, stable=True)
    probs = ordered.softmax(dim=-1)
    mass_before = probs.cumsum(dim=-1) - probs
    dropped = mass_before >= top_p - ROUNDING
    dropped[..., 0] = False
    return logits.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), -math.inf)


def ban_repeats(
    ids: Int[Tensor, "*batch seq"], logits: Float[Tensor, "*batch vocab"], n: int
) -> Float[Tensor, "*batch vocab"]:
    """Forbid every token that would complete an n-gram which the sequence already holds.

    A token is forbidden only where the last n - 1 tokens stood before it once; with n = 1 each token may come
    once. The prompt counts. Paulus et al. 2018, section 2.5.

    Raises:
        ValueError: when `n` is below 1, or an id lies outside the vocabulary.

    >>> ban_repeats(torch.tensor([3, 1, 2, 3]), torch.zeros(4), n=2)
    tensor([0., -inf, 0., 0.])
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}: an n-gram holds n tokens")
    require_ids(ids, logits.shape[-1])
    if ids.shape[-1] < n:
        return logits.clone()
    grams = ids.long().unfold(-1, n, 1)  # (*batch, seq - n + 1, n)
    ending = ids[..., ids.shape[-1] - n + 1 :]
    continued = (grams[..., :-1] == ending.unsqueeze(-2)).all(dim=-1)
    completions = torch.zeros_like(logits, dtype=torch.long).scatter_add(-1, grams[..., -1], continued.long())
    return logits.masked_fill(completions > 0, -math.inf)


def penalize_repeats(
    ids: Int[Tensor, "*batch seq"], logits: Float[Tensor, "*batch vocab"], penalty: float
) -> Float[Tensor, "*batch vocab"]:
    """Make each token that the sequence already holds less likely: logits above 0 divided, others multiplied.

    Once for a token, however often it occurred. A penalty of 1 changes nothing, one below 1 invites repetition.
    The rule depends on where 0 lies, so apply it to a model's own logits, before a temperature or a filter.
    Keskar et al. 2019, section 4.1, with the correction for negative logits that transformers makes.

    Raises:
        ValueError: when the penalty is not above 0, or an id lies outside the vocabulary.

    >>> penalize_repeats(torch.tensor([0, 1, 1]), torch.tensor([4.0, -1.0, 2.0]), penalty=2.0)
    tensor([ 2., -2.,  2.])
    """
    if not penalty > 0:
        raise ValueError(f"penalty must be above 0, got {penalty}; 1 changes nothing, more discourages repetition")
    require_ids(ids, logits.shape[-1])
    seen = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, ids.long(), True)
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def require_ids(ids: Int[Tensor, "*batch seq"], vocab_size: int) -> None:
    """Refuse ids that are not between 0 and `vocab_size` - 1.

    Raises:
        ValueError: when one is not.
    """
    if ids.numel() and not (int(ids.min()) >= 0 and int(ids.max()) < vocab_size):
        raise ValueError(
            f"ids run from {int(ids.min())} to {int(ids.max())}, but the logits are for a vocabulary of {vocab_size}: "
            "use the tokenizer that the model was trained with"
        )
