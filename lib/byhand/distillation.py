"""A small model that learns from a large one's probabilities besides the labels.

Holds the loss and a step of it for the training loop (`byhand.training.train`). Leaves out matching of hidden states
and attention (Sanh et al. 2019; Wang et al. 2020). Built in chapter 14.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from byhand.packing import IGNORED
from byhand.probability import cross_entropy, log_softmax
from byhand.training import evaluating
from byhand.training.run import Loss


def kd_loss(
    student_logits: Float[Tensor, "batch vocab"],
    teacher_logits: Float[Tensor, "batch vocab"],
    labels: Int[Tensor, " batch"],
    temperature: float,
    alpha: float,
) -> Float[Tensor, ""]:
    """alpha * temperature² * KL(teacher || student), both at the temperature, + (1 - alpha) * cross-entropy, in nats.

    Both parts are means over the rows whose label is not -100. At a high temperature the tokens that the teacher
    finds unlikely keep their order and get weight; the gradient of the first part shrinks by temperature², which the
    factor makes up for. The divergence, unlike the cross-entropy of two distributions, is zero when the student is
    right. No gradient goes to the teacher. Hinton et al. 2015, section 2.

    Raises:
        ValueError: when the temperature is not above 0, alpha is outside [0, 1], or the shapes differ.

    >>> logits = torch.tensor([[1.0, 2.0, 0.0]])
    >>> kd_loss(logits, logits, torch.tensor([1]), temperature=4.0, alpha=1.0).item()
    0.0
    """
    _check(temperature, alpha)
    if student_logits.shape != teacher_logits.shape or labels.shape != student_logits.shape[:1]:
        raise ValueError(
            f"student {tuple(student_logits.shape)}, teacher {tuple(teacher_logits.shape)} and labels "
            f"{tuple(labels.shape)} do not go together: all three score the same tokens"
        )
    counted = labels != IGNORED
    target = log_softmax(teacher_logits.detach()[counted] / temperature)
    learned = log_softmax(student_logits[counted] / temperature)
    divergence = (target.exp() * (target - learned)).sum(dim=-1).mean()
    return alpha * temperature**2 * divergence + (1 - alpha) * cross_entropy(student_logits, labels)


def distil(teacher: nn.Module, temperature: float, alpha: float) -> Loss:
    """The loss of a batch for `byhand.training.train(student, ..., loss=distil(teacher, ...))`.

    It gives `kd_loss` over the tokens of the batch, as a sum, and their number. The teacher is called in eval mode
    and is not changed.

    Args:
        teacher: from the batch's inputs to logits over the student's vocabulary.
        temperature: of both distributions, above 0.
        alpha: share of the teacher's part, 0 to 1.

    Raises:
        ValueError: as `kd_loss`.

    >>> loss = distil(nn.Linear(2, 3), temperature=2.0, alpha=0.5)
    >>> total, count = loss(nn.Linear(2, 3), torch.zeros(4, 5, 2), torch.zeros(4, 5, dtype=torch.long))
    >>> total.shape, count.item()
    (torch.Size([]), 20)
    """
    _check(temperature, alpha)

    def loss(student: nn.Module, x: Tensor, y: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        with evaluating(teacher):
            target = teacher(x, *rest)
        logits = student(x, *rest)
        count = (y != IGNORED).sum()
        mean = kd_loss(logits.flatten(0, -2), target.flatten(0, -2), y.flatten(), temperature, alpha)
        # With nothing to count the mean is not a number; the sum is zero.
        return torch.where(count > 0, mean * count, logits.sum() * 0), count

    return loss


def _check(temperature: float, alpha: float) -> None:
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}: the logits are divided by it")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be 0 to 1, got {alpha}: it is the teacher's share of the loss")
