"""How well a model predicts text it was not trained on. Belongs to `byhand.training`. Built in chapter 4."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Int
from torch import Tensor, nn

from byhand.training.loss import next_token_loss

WINDOWS_AT_ONCE = 16


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout off and no gradients inside; the model's own mode afterwards, module by module."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def evaluate(model: nn.Module, ids: Int[Tensor, " stream"], seq: int) -> tuple[float, int]:
    """The negative log-probability of a stream in nats, summed, and the number of tokens that were predicted.

    The stream is cut into windows of `seq` inputs side by side, the last one as short as it comes; each token but
    the first is predicted once, given those before it in its window. Divide the sums of several streams, not their
    means. The model's mode is left as it was.

    Raises:
        ValueError: when the stream has fewer than two tokens, or `seq` is below 1.

    >>> guess = nn.Embedding.from_pretrained(torch.zeros(4, 4))  # the same logit for each of four tokens
    >>> total, count = evaluate(guess, torch.tensor([3, 1, 2, 0, 1, 1]), seq=2)
    >>> round(total / count, 4), count
    (1.3863, 5)
    """
    if len(ids) < 2 or seq < 1:
        raise ValueError(f"need two tokens and seq >= 1, got {len(ids)} tokens and seq={seq}: one predicts the other")
    whole = (len(ids) - 1) // seq
    parts = [ids[: whole * seq + 1].unfold(0, seq + 1, seq)] if whole else []
    if whole * seq + 1 < len(ids):
        parts.append(ids[whole * seq :].unsqueeze(0))
    total = 0.0
    with evaluating(model):
        for windows in (group for part in parts for group in torch.split(part, WINDOWS_AT_ONCE)):
            total += next_token_loss(model, windows[:, :-1], windows[:, 1:].long())[0].item()
    return total, len(ids) - 1


def heldout_loss(ids: Int[Tensor, " stream"], seq: int) -> Callable[[nn.Module], float]:
    """A measure for `train(heldout=...)`: the mean loss of a model on a stream, in nats a token.

    Raises:
        ValueError: as `evaluate`, when it is called.
    """

    def measure(model: nn.Module) -> float:
        device = next(model.parameters()).device
        total, count = evaluate(model, ids.to(device), seq)
        return total / count

    return measure
