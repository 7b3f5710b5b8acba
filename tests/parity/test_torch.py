"""The library's softmax and cross-entropy are torch's, in double precision, gradients included."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand.probability import cross_entropy, log_softmax, softmax

EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture
def logits():
    values = torch.randn(3, 5, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values[0, 0] *= 1e4
    return values.transpose(0, 1)  # (seq, batch, vocab), not contiguous


def gradient(function, logits):
    leaf = logits.clone().requires_grad_()
    out = function(leaf)
    weights = torch.arange(out.numel(), dtype=out.dtype).view(out.shape) + 1
    (out * weights).sum().backward()
    return out.detach(), leaf.grad


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_softmax_and_its_gradient_are_torchs(logits, temperature):
    for mine, reference in zip(
        gradient(lambda z: softmax(z, temperature), logits),
        gradient(lambda z: torch.softmax(z / temperature, -1), logits),
        strict=True,
    ):
        torch.testing.assert_close(mine, reference, **EXACT)


def test_log_softmax_and_its_gradient_are_torchs(logits):
    pairs = zip(gradient(log_softmax, logits), gradient(lambda z: F.log_softmax(z, -1), logits), strict=True)
    for mine, reference in pairs:
        torch.testing.assert_close(mine, reference, **EXACT)


@pytest.mark.parametrize("ignore_index", [-100, 4])
def test_cross_entropy_and_its_gradient_are_torchs(logits, ignore_index):
    targets = torch.randint(11, (5, 3), generator=torch.Generator().manual_seed(2))
    targets[1, 2] = targets[4, 0] = ignore_index
    for mine, reference in zip(
        gradient(lambda z: cross_entropy(z, targets, ignore_index), logits),
        gradient(lambda z: F.cross_entropy(z.flatten(0, 1), targets.flatten(), ignore_index=ignore_index), logits),
        strict=True,
    ):
        torch.testing.assert_close(mine, reference, **EXACT)


def test_cross_entropy_refuses_a_target_outside_the_vocabulary_as_torch_does(logits):
    targets = torch.full((5, 3), 11)
    for function in (cross_entropy, lambda z, t: F.cross_entropy(z.flatten(0, 1), t.flatten())):
        with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
            function(logits, targets)
