"""Loss scaling is GradScaler's, autocast is torch.autocast's, and the limits of formats are torch.finfo's."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand.encoder import Encoder, EncoderConfig
from byhand.gpt import GPT, GPTConfig
from byhand.precision import Autocast, DynamicLossScaler, amp_step, autocast_trace, dtype_policy, representable
from byhand.precision.autocast import trace_dtypes
from torch import nn

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


@pytest.mark.parametrize("dtype", [FP16, BF16, FP32, torch.float64])
def test_limits_are_finfos(dtype):
    info = torch.finfo(dtype)
    assert representable(dtype) == {"max": info.max, "tiny": info.tiny, "eps": info.eps}


@pytest.mark.parametrize(
    ("seed", "growth", "backoff", "interval"), [(0, 2.0, 0.5, 3), (1, 1.7, 0.3, 1), (2, 4.0, 0.9, 5)]
)
def test_a_history_of_gradients_gives_gradscalers_factors_and_steps(seed, growth, backoff, interval):
    rng = torch.Generator().manual_seed(seed)
    weights = [torch.zeros(4, requires_grad=True) for _ in range(2)]
    optimizers = [torch.optim.SGD([weight], lr=0.1, momentum=0.9) for weight in weights]
    mine = DynamicLossScaler(1000.0, growth, backoff, interval)
    theirs = torch.amp.GradScaler("cpu", 1000.0, growth, backoff, interval)
    skipped = 0
    for _ in range(120):
        gradient = torch.randn(4, generator=rng)
        if torch.rand(1, generator=rng) < 0.25:
            gradient[1] = [math.inf, -math.inf, math.nan][int(torch.randint(3, (1,), generator=rng))]
        for weight, scaler in zip(weights, (mine, theirs), strict=True):
            weight.grad = None
            scaler.scale((weight * gradient).sum()).backward()
        stepped = mine.step(optimizers[0])
        theirs.step(optimizers[1])
        theirs.update()
        skipped += not stepped
        assert mine.get_scale() == theirs.get_scale()
        torch.testing.assert_close(weights[0], weights[1], rtol=1e-6, atol=1e-7)
    assert 10 < skipped < 60


def test_the_factor_ends_where_gradscalers_does():
    for history, init in (([1e-30] * 6, 2.0**125), ([math.inf] * 160, 1.0)):
        weights = [torch.zeros(1, requires_grad=True) for _ in range(2)]
        mine, theirs = DynamicLossScaler(init, interval=1), torch.amp.GradScaler("cpu", init, growth_interval=1)
        for gradient in history[:140]:
            for weight, scaler in zip(weights, (mine, theirs), strict=True):
                weight.grad = torch.tensor([gradient])
                scaler.scale(torch.zeros(()))  # torch's makes its factor at the first call
                scaler.step(torch.optim.SGD([weight], lr=0.1))
            theirs.update()
            assert mine.get_scale() == theirs.get_scale()


def test_a_mixed_step_is_the_one_with_gradscaler():
    def made():
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return nn.Sequential(nn.Linear(5, 9), nn.LayerNorm(9), nn.ReLU(), nn.Linear(9, 4))

    rng = torch.Generator().manual_seed(1)
    mine, theirs = made(), made()
    optimizers = [torch.optim.AdamW(model.parameters(), lr=0.01) for model in (mine, theirs)]
    own, reference = DynamicLossScaler(256.0, interval=2), torch.amp.GradScaler("cpu", 256.0, growth_interval=2)
    for _ in range(5):
        x, y = torch.randn(6, 5, generator=rng), torch.randint(4, (6,), generator=rng)
        told = amp_step(mine, x, y, optimizers[0], own, 0.5, "cpu")
        optimizers[1].zero_grad()
        with torch.autocast("cpu", dtype=BF16):
            logits = theirs(x)
            loss = F.cross_entropy(logits, y)
        reference.scale(loss).backward()
        reference.unscale_(optimizers[1])
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        reference.step(optimizers[1])
        reference.update()
        assert math.isclose(told["loss"], loss.item(), rel_tol=2e-2)  # torch's log_softmax is in bfloat16 here
        assert math.isclose(told["grad_norm"], norm.item(), rel_tol=3e-2)
        assert own.get_scale() == reference.get_scale()
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert (one - other).abs().max() < 0.02


def calls(x):
    """An operation's name to a call of it, as a model makes it."""
    labels = torch.arange(3, device=x.device)
    probs = torch.rand(3, 4, device=x.device).to(x.dtype)
    square = x[:, :3]
    return {
        "matmul": lambda: x @ x.T,
        "mm": lambda: torch.mm(x, x.T),
        "bmm": lambda: torch.bmm(x[None], x.T[None]),
        "addmm": lambda: torch.addmm(square, x, x.T),
        "baddbmm": lambda: torch.baddbmm(square[None], x[None], x.T[None]),
        "linear": lambda: F.linear(x, x),
        "einsum": lambda: torch.einsum("ij,kj->ik", x, x),
        "conv1d": lambda: F.conv1d(x[None], x[:, :3, None]),
        "conv2d": lambda: F.conv2d(x[None, None], x[None, None, :2, :2]),
        "scaled_dot_product_attention": lambda: F.scaled_dot_product_attention(*[x[None, None]] * 3),
        "softmax": lambda: x.softmax(-1),
        "log_softmax": lambda: F.log_softmax(x, dim=-1),
        "layer_norm": lambda: F.layer_norm(x, (4,)),
        "group_norm": lambda: F.group_norm(x, 2),
        "cross_entropy": lambda: F.cross_entropy(x, labels),
        "nll_loss": lambda: F.nll_loss(x, labels),
        "mse_loss": lambda: F.mse_loss(x, probs),
        "kl_div": lambda: F.kl_div(x, probs, reduction="batchmean"),
        "binary_cross_entropy_with_logits": lambda: F.binary_cross_entropy_with_logits(x, probs),
        "sum": lambda: x.sum(),
        "mean": lambda: x.mean(),
        "prod": lambda: x.prod(),
        "cumsum": lambda: x.cumsum(0),
        "norm": lambda: x.norm(),
        "exp": lambda: x.exp(),
        "log": lambda: probs.log(),
        "log1p": lambda: probs.log1p(),
        "pow": lambda: x.pow(2),
        "rsqrt": lambda: probs.rsqrt(),
        "reciprocal": lambda: probs.reciprocal(),
        "softplus": lambda: F.softplus(x),
        "sqrt": lambda: probs.sqrt(),
        "logsumexp": lambda: x.logsumexp(-1),
        "amax": lambda: x.amax(-1),
        "add": lambda: x + x,
        "sub": lambda: x - x,
        "mul": lambda: x * x,
        "div": lambda: x / 2,
        "gelu": lambda: F.gelu(x),
        "relu": lambda: F.relu(x),
        "tanh": lambda: x.tanh(),
        "sigmoid": lambda: x.sigmoid(),
        "silu": lambda: F.silu(x),
        "dropout": lambda: F.dropout(x, 0.0),
        "embedding": lambda: F.embedding(labels, x),
        "transpose": lambda: x.transpose(0, 1),
        "reshape": lambda: x.reshape(-1),
    }


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("width", ["narrow", "fp32", "fp64"])
def test_every_operation_on_the_lists_answers_in_autocasts_dtype(device, width):
    low = {"cpu": BF16, "cuda": FP16}[device]
    dtype = {"narrow": low, "fp32": FP32, "fp64": torch.float64}[width]
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    for op, call in calls(x).items():
        with torch.autocast(device, dtype=low):
            reference = call()
        assert dtype_policy(op, dtype, device) == reference.dtype, op
        with Autocast(device):
            mine = call()
        assert mine.dtype == reference.dtype, op
        torch.testing.assert_close(mine, reference, msg=op)


@pytest.mark.parametrize("device", DEVICES)
def test_a_models_parts_answer_in_autocasts_dtypes_and_the_outputs_are_the_same(device):
    low = {"cpu": BF16, "cuda": FP16}[device]
    models = {
        "encoder": Encoder(EncoderConfig.tiny(vocab_size=40), torch.Generator().manual_seed(0)),
        "gpt": GPT(GPTConfig.tiny(vocab_size=40), torch.Generator().manual_seed(0)),
        "rotary": GPT(GPTConfig.tiny(vocab_size=40, positions="rotary"), torch.Generator().manual_seed(0)),
    }
    ids = torch.arange(18, device=device).view(2, 9)
    for name, model in models.items():
        model.to(device).eval()
        expected = trace_dtypes(model, torch.autocast(device, dtype=low), ids)
        found = autocast_trace(model, ids)
        assert found == expected, name
        assert len(found) > 10
        with torch.no_grad():
            with Autocast(device):
                mine = model(ids)
            with torch.autocast(device, dtype=low):
                reference = model(ids)
        assert (mine - reference).float().norm() <= 0.01 * reference.float().norm(), name


def test_gradients_under_autocast_are_torchs():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 9), nn.LayerNorm(9), nn.GELU(), nn.Linear(9, 4))
    x, y = torch.randn(7, 5, generator=torch.Generator().manual_seed(1)), torch.arange(7) % 4
    gradients = []
    for mode in (Autocast(), torch.autocast("cpu", dtype=BF16)):
        model.zero_grad()
        with mode:
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        gradients.append([weight.grad.clone() for weight in model.parameters()])
    for mine, reference in zip(*gradients, strict=True):
        assert mine.dtype == FP32
        assert (mine - reference).norm() <= 0.02 * reference.norm()
