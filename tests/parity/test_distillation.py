"""The loss of distillation is torch's kl_div and cross_entropy, gradients included."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand.distillation import kd_loss


@pytest.mark.parametrize(
    ("rows", "vocab", "temperature", "alpha"), [(1, 2, 1.0, 1.0), (6, 31, 2.5, 0.4), (9, 5, 0.7, 0)]
)
def test_kd_loss_and_its_gradient_are_torchs(rows, vocab, temperature, alpha):
    rng = torch.Generator().manual_seed(rows)
    student, teacher = (torch.randn(vocab, rows, generator=rng, dtype=torch.float64).T for _ in range(2))
    labels = torch.randint(vocab, (rows,), generator=rng)
    mine, theirs = (student.clone().requires_grad_() for _ in range(2))
    loss = kd_loss(mine, teacher, labels, temperature, alpha)
    divergence = F.kl_div(
        F.log_softmax(theirs / temperature, -1), F.log_softmax(teacher / temperature, -1), None, None, "batchmean", True
    )
    reference = alpha * temperature**2 * divergence + (1 - alpha) * F.cross_entropy(theirs, labels)
    loss.backward()
    reference.backward()
    torch.testing.assert_close(loss, reference, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-12, atol=1e-12)
