"""One update is torch's: AdamW, Muon, clipping; the schedule is transformers', the loss torch's."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand.packing import IGNORED
from byhand.training import AdamW, Muon, clip_gradients, loss, lr_at, next_token_loss
from byhand.training.optimizers import orthogonalize


def weights(seed=0, dtype=torch.float32):
    rng = torch.Generator().manual_seed(seed)
    shapes = [(7, 4), (5,), (4, 9)]
    return [torch.nn.Parameter(torch.randn(shape, generator=rng, dtype=dtype)) for shape in shapes]


def give_gradients(both, seed):
    rng = torch.Generator().manual_seed(100 + seed)
    for mine, theirs in zip(*both, strict=True):
        gradient = torch.randn(mine.shape, generator=rng, dtype=mine.dtype) * 10 ** (seed % 3 - 1)
        mine.grad, theirs.grad = gradient.clone(), gradient.clone()


@pytest.mark.parametrize(("betas", "decay", "eps"), [((0.9, 0.95), 0.1, 1e-8), ((0.7, 0.999), 0.0, 1e-3)])
@pytest.mark.parametrize("fused", [False, True])
def test_adamw_is_torchs_over_many_steps_with_a_changing_rate(betas, decay, eps, fused):
    both = weights(dtype=torch.float64), weights(dtype=torch.float64)
    mine = AdamW(both[0], betas=betas, weight_decay=decay, eps=eps)
    theirs = torch.optim.AdamW(both[1], betas=betas, weight_decay=decay, eps=eps, fused=fused)
    for step in range(12):
        give_gradients(both, step)
        if step == 4:
            both[0][1].grad = both[1][1].grad = None  # a parameter that took no part
        for optimizer in (mine, theirs):
            optimizer.param_groups[0]["lr"] = 0.1 / (1 + step)
            optimizer.step()
        for one, other in zip(*both, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_adamw_in_single_precision_is_torchs():
    both = weights(), weights()
    optimizers = AdamW(both[0], lr=0.01), torch.optim.AdamW(both[1], lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)
    for step in range(5):
        give_gradients(both, step)
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_muon_is_torchs_with_the_rate_matched_to_adamw():
    both = weights()[::2], weights()[::2]
    mine = Muon(both[0], lr=0.02, weight_decay=0.1)
    theirs = torch.optim.Muon(both[1], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(5):
        give_gradients(both, step)
        mine.step()
        theirs.step()
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(6, 6), (3, 11), (11, 3)])
def test_orthogonalizing_is_torchs_bit_for_bit(shape):
    from torch.optim._muon import _zeropower_via_newtonschulz

    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    theirs = _zeropower_via_newtonschulz(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7)
    assert torch.equal(orthogonalize(matrix), theirs.float())


@pytest.mark.parametrize("clip", [0.5, 3.0, 1e6])
def test_clipping_is_torchs(clip):
    both = weights(), weights()
    give_gradients(both, 2)
    mine = clip_gradients(both[0], clip)
    theirs = torch.nn.utils.clip_grad_norm_(both[1], clip)
    torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=0)
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("warmup", "total"), [(0, 9), (3, 20), (5, 5)])
def test_the_schedule_down_to_zero_is_transformers(warmup, total):
    from transformers import get_cosine_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    schedule = get_cosine_schedule_with_warmup(optimizer, warmup, total)
    for step in range(total + 1):
        # At a total equal to the warm-up the peak and the end fall together; only the other steps compare.
        if step < total:
            assert lr_at(step, warmup, total, 0.3, 0.0) == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("at_once", [1, 23, 2**20])
@pytest.mark.parametrize("precision", [torch.float64, torch.float32, torch.bfloat16])
def test_the_loss_in_pieces_and_its_gradients_are_torchs(monkeypatch, at_once, precision):
    monkeypatch.setattr(loss, "LOGITS_AT_ONCE", at_once)
    rng = torch.Generator().manual_seed(3)
    dtype = torch.float64 if precision == torch.float64 else torch.float32
    hidden = torch.randn(13, 6, generator=rng, dtype=dtype)
    weight = torch.randn(11, 6, generator=rng, dtype=dtype)
    targets = torch.randint(11, (13,), generator=rng).masked_fill(torch.rand(13, generator=rng) < 0.4, IGNORED)
    found = []
    for form in (
        loss.linear_cross_entropy,
        lambda h, w, y: F.cross_entropy(F.linear(h, w), y, ignore_index=IGNORED, reduction="sum"),
    ):
        leaves = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            total = form(*leaves, targets)
        (3 * total).backward()
        found.append((total.detach(), *(leaf.grad for leaf in leaves)))
    close = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.1}[precision]
    for mine, theirs in zip(*found, strict=True):
        assert mine.dtype == theirs.dtype
        torch.testing.assert_close(mine, theirs, rtol=close / 10, atol=close)


@pytest.mark.parametrize("frozen", [0, 1])
def test_what_is_frozen_gets_no_gradient_and_the_other_the_same(frozen):
    rng = torch.Generator().manual_seed(4)
    both = [torch.randn(shape, generator=rng) for shape in ((5, 3), (7, 3))]
    leaves = [leaf.clone().requires_grad_(number != frozen) for number, leaf in enumerate(both)]
    targets = torch.randint(7, (5,), generator=rng)
    loss.linear_cross_entropy(*leaves, targets).backward()
    again = [leaf.clone().requires_grad_() for leaf in both]
    F.cross_entropy(F.linear(*again), targets, reduction="sum").backward()
    assert leaves[frozen].grad is None
    torch.testing.assert_close(leaves[1 - frozen].grad, again[1 - frozen].grad, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert not loss.linear_cross_entropy(*leaves, targets).requires_grad


def test_the_loss_is_torchs_mean_times_the_targets():
    rng = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 5, 11, generator=rng, requires_grad=True)
    targets = torch.randint(11, (3, 5), generator=rng).masked_fill(torch.rand(3, 5, generator=rng) < 0.4, IGNORED)

    class Fixed(torch.nn.Module):
        def forward(self, x):
            return logits

    total, count = next_token_loss(Fixed(), torch.zeros(3, 5, dtype=torch.long), targets)
    mean = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(total / count, mean, rtol=1e-6, atol=0)
