"""How well a language model predicts: perplexity and bits per byte.

Holds the two measures every chapter reports, computed so that neither padding nor the size of a batch nor the
tokenizer changes them. Leaves out measures of generated text (chapter 8). Built in chapter 1.
"""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float, Shaped
from numpy import ndarray
from torch import Tensor

Losses = Float[Tensor, "..."] | Float[ndarray, "..."]
Mask = Shaped[Tensor, "..."] | Shaped[ndarray, "..."]


def mean_nll(batches: Iterable[tuple[Losses, Mask]]) -> float:
    """The mean negative log-probability of the tokens that count, in nats: one sum over one count.

    Raises:
        ValueError: when no token counts, or a mask has another shape than its losses.

    >>> mean_nll([(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([True, True, False])),
    ...           (torch.tensor([3.0]), torch.tensor([True]))])
    2.0
    """
    total, count = 0.0, 0
    for nll, mask in batches:
        losses = torch.as_tensor(nll).detach().double()
        counted = torch.as_tensor(mask).to(losses.device).bool()
        if losses.shape != counted.shape:
            raise ValueError(
                f"the mask has shape {tuple(counted.shape)}, the losses {tuple(losses.shape)}; give one flag a token"
            )
        # Selected, not multiplied: the loss at a padded place may be infinite or NaN.
        total += losses[counted].sum().item()
        count += int(counted.sum())
    if count == 0:
        raise ValueError("no token counts: every mask is empty or False, so there is no mean")
    return total / count


def perplexity(batches: Iterable[tuple[Losses, Mask]]) -> float:
    """exp of the mean negative log-probability over all tokens that count, in all batches together.

    A model that gives every token of a vocabulary the same probability has its size as perplexity.

    Args:
        batches: pairs of losses in nats and a mask of the same shape (True or 1: counts). Lengths may differ.

    Raises:
        ValueError: when no token counts, or a mask has another shape than its losses.

    >>> round(perplexity([(torch.full((5,), math.log(8.0)), torch.ones(5, dtype=torch.bool))]), 4)
    8.0
    """
    return math.exp(mean_nll(batches))


def bits_per_byte(total_nll_nats: float, text: str) -> float:
    """The model's code length for a text in bits, per byte of its UTF-8 form.

    Tokenizers cut a text into different numbers of tokens, so perplexities per token cannot be compared; the
    bytes are the same for all. Divide by ln 2 for bits, then by bytes, not characters.

    Args:
        total_nll_nats: the negative log-probability of the whole text, summed over its tokens.
        text: the text that was scored.

    Raises:
        ValueError: when the text is empty.

    >>> bits_per_byte(16 * math.log(2), "é")
    8.0
    """
    if not text:
        raise ValueError("the text is empty, so it has no bytes to divide by")
    return total_nll_nats / math.log(2) / len(text.encode("utf-8"))
