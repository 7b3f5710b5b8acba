"""Formats, autocast by hand, steps in mixed precision, and the bytes of each setting."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand.gpt import GPT, GPTConfig
from byhand.precision import (
    Autocast,
    DynamicLossScaler,
    MasterWeights,
    amp_step,
    autocast_trace,
    dtype_policy,
    representable,
    train_memory_mixed,
    underflow_share,
)
from byhand.probability import cross_entropy
from byhand.scaling.memory import measure_activations
from torch import nn

BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.mark.parametrize("dtype", [FP16, BF16])
def test_the_limits_of_a_format_are_where_its_numbers_end(dtype):
    limits = representable(dtype)
    wide = {name: torch.tensor(value, dtype=torch.float64) for name, value in limits.items()}
    assert (wide["max"].to(dtype).double() == wide["max"]).item()
    assert (wide["max"] * (1 + limits["eps"])).to(dtype).isinf()
    assert (1 + wide["eps"]).to(dtype) > 1
    assert (1 + wide["eps"] / 2).to(dtype) == 1
    assert (wide["tiny"] * (1 + wide["eps"])).to(dtype) > wide["tiny"].to(dtype)
    assert (wide["tiny"] * wide["eps"]).to(dtype) > 0
    assert (wide["tiny"] * wide["eps"] / 2).to(dtype) == 0
    with pytest.raises(ValueError, match=r"torch\.int8 is not one of torch\.float16"):
        representable(torch.int8)


def test_underflow_counts_what_becomes_zero_and_subnormal_numbers_do_not():
    grads = torch.tensor([0.0, 1.0, 6e-8, 1e-6, 2e-8, -1e-9])  # 6e-8 and 1e-6 are subnormal in fp16
    assert underflow_share(grads, 1.0, FP16) == 2 / 5
    assert underflow_share(grads, 2.0, FP16) == 1 / 5
    assert underflow_share(grads, 2.0**10, FP16) == 0
    assert underflow_share(grads, 2.0**-10, FP16) == 4 / 5
    assert underflow_share(grads, 1.0, BF16) == 0
    assert underflow_share([grads[:3], grads[3:]], 1.0, FP16) == 2 / 5
    assert underflow_share(torch.zeros(3), 1.0, FP16) == 0
    assert underflow_share([], 1.0, FP16) == 0
    with pytest.raises(ValueError, match="scale must be above 0, got 0"):
        underflow_share(grads, 0.0, FP16)


def test_the_policy_is_narrow_for_products_and_wide_for_losses():
    assert [dtype_policy(op) for op in ("matmul", "softmax", "layer_norm", "cross_entropy", "sum")] == [BF16] + [
        FP32
    ] * 4
    for op in ("softmax", "layer_norm", "sum", "mse_loss"):
        assert dtype_policy(op, FP16, "cuda") == FP32
    assert dtype_policy("softmax", BF16) == BF16
    assert dtype_policy("mse_loss", BF16) == FP32
    assert dtype_policy("linear", BF16, "cuda") == FP16
    assert dtype_policy("gelu", FP16, "cuda") == FP16
    assert dtype_policy("matmul", torch.float64) == torch.float64
    with pytest.raises(ValueError, match="'fft' is on none of the lists; they hold add, addmm"):
        dtype_policy("fft")
    with pytest.raises(ValueError, match="device is 'tpu'; choose one of cpu, cuda"):
        dtype_policy("matmul", device="tpu")


def test_every_way_to_multiply_is_narrow_inside_and_as_before_outside():
    x = torch.randn(3, 3)
    with Autocast():
        outs = [
            x @ x,
            x.matmul(x),
            torch.mm(x, x),
            F.linear(x, x),
            x.double() @ x.double(),
            torch.ones(2) @ torch.ones(2),
        ]
        kept = [x + x, x.softmax(-1), x.exp()]
    assert [out.dtype for out in outs] == [BF16] * 4 + [torch.float64, BF16]
    assert [out.dtype for out in kept] == [FP32] * 3
    assert (x @ x).dtype == FP32


def test_a_trace_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 2)).train()
    assert autocast_trace(model, torch.ones(3, 4)) == {"0": BF16, "1": BF16, "2": BF16, "": BF16}
    assert all(part.training for part in model.modules())
    assert not any(part._forward_hooks for part in model.modules())
    assert model(torch.ones(3, 4)).dtype == FP32


def small():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 5))


def batch(size=8):
    rng = torch.Generator().manual_seed(1)
    return torch.randn(size, 6, generator=rng), torch.randint(5, (size,), generator=rng)


@pytest.mark.parametrize("device", DEVICES)
def test_a_mixed_step_is_nearly_the_float32_step_and_clips_the_true_gradients(device):
    x, y = batch()
    mixed, exact = small().to(device), small().to(device)
    with torch.autocast(device, dtype={"cpu": BF16, "cuda": FP16}[device]):
        logits = mixed(x.to(device))
    optimizer = torch.optim.SGD(mixed.parameters(), lr=1.0)
    told = amp_step(mixed, x, y, optimizer, DynamicLossScaler(2.0**12), 0.1, device)
    assert told["loss"] == cross_entropy(logits.float(), y.to(device)).item()  # of logits in float32
    loss = cross_entropy(exact(x.to(device)), y.to(device))
    loss.backward()
    norm = nn.utils.clip_grad_norm_(exact.parameters(), 0.1)
    torch.optim.SGD(exact.parameters(), lr=1.0).step()
    assert told["stepped"] is True
    assert told["scale"] == 2.0**12
    assert math.isclose(told["loss"], loss.item(), rel_tol=0.01)
    assert math.isclose(told["grad_norm"], norm.item(), rel_tol=0.02)
    for mine, theirs in zip(mixed.parameters(), exact.parameters(), strict=True):
        assert mine.dtype == FP32
        assert (mine - theirs).abs().max() < 0.005


@pytest.mark.parametrize("make", [DynamicLossScaler, lambda init: torch.amp.GradScaler("cpu", init)])
def test_a_mixed_step_with_an_overflow_is_left_out(make):
    model, (x, y) = small(), batch()
    before = [weight.clone() for weight in model.parameters()]
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=1.0), make(2.0**127)
    told = amp_step(model, 1e3 * x, y, optimizer, scaler, 1.0, "cpu")
    assert told["stepped"] is False
    assert scaler.get_scale() == 2.0**126
    assert all(torch.equal(weight, kept) for weight, kept in zip(model.parameters(), before, strict=True))
    while not told["stepped"]:
        told = amp_step(model, x, y, optimizer, scaler, 1.0, "cpu")
    assert any(not torch.equal(weight, kept) for weight, kept in zip(model.parameters(), before, strict=True))


def test_mixed_steps_learn():
    model, (x, y) = small(), batch(40)
    optimizer, scaler = torch.optim.AdamW(model.parameters(), lr=0.02), DynamicLossScaler(2.0**10, interval=10)
    losses = [amp_step(model, x, y, optimizer, scaler, 1.0, "cpu")["loss"] for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]
    assert scaler.get_scale() == 2.0**14


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [FP16, BF16])
def test_master_weights_add_up_updates_that_the_model_cannot_hold(dtype, device):
    model = nn.Linear(2, 1, bias=False).to(device)
    nn.init.ones_(model.weight)
    master = MasterWeights(model, dtype)
    optimizer, scaler = torch.optim.SGD(master.weights, lr=1e-4), DynamicLossScaler(2.0**8)
    lone = torch.ones(1, dtype=dtype)
    for _ in range(100):
        scaler.scale(model(torch.ones(1, 2, dtype=dtype, device=device)).float().sum()).backward()
        master.collect_gradients()
        assert scaler.step(optimizer)
        master.write_back()
        lone = lone - 1e-4
    assert lone.item() == 1.0  # without the copies nothing is learned
    assert model.weight.dtype == dtype
    assert model.weight.grad is None
    torch.testing.assert_close(master.weights[0].cpu(), torch.full((1, 2), 0.99), rtol=1e-5, atol=0)
    assert torch.equal(model.weight, master.weights[0].to(dtype))


def test_master_weights_are_one_for_tied_weights_and_keep_what_is_frozen():
    model = GPT(GPTConfig.tiny(), torch.Generator().manual_seed(0))
    model.final_norm.bias.requires_grad_(False)
    master = MasterWeights(model, BF16)
    assert len(master.weights) == len(list(model.parameters()))
    assert [w.requires_grad for w in master.weights] == [w.requires_grad for w in model.parameters()]
    assert {w.dtype for w in master.weights} == {FP32}
    with pytest.raises(ValueError, match=r"is torch\.bfloat16: start from float32 weights"):
        MasterWeights(model, BF16)
    with pytest.raises(ValueError, match=r"must be float16 or bfloat16, got torch\.float32"):
        MasterWeights(small(), FP32)


@pytest.mark.parametrize("setting", ["fp32", "fp16+master", "bf16"])
def test_the_bytes_of_a_step_are_those_of_its_tensors(setting):
    config = GPTConfig(
        vocab_size=50,
        max_seq=12,
        d_model=24,
        n_layers=3,
        n_heads=4,
        d_ff=40,
        positions="learned",
        activation="gelu_tanh",
    )
    model = GPT(config, torch.Generator().manual_seed(0))
    masters = []
    if setting == "fp16+master":
        masters = MasterWeights(model, FP16).weights
    elif setting == "bf16":
        model.to(BF16)
    ids = torch.arange(2 * 11).view(2, 11)
    loss = None

    def forward():
        nonlocal loss
        loss = F.cross_entropy(model(ids).flatten(0, 1).float(), ids.flatten())
        return loss

    activations = measure_activations(model, forward)
    loss.backward()
    trained = masters or list(model.parameters())
    gradients = sum(weight.grad.untyped_storage().nbytes() for weight in model.parameters())
    for weight, narrow in zip(trained, model.parameters(), strict=True):
        weight.grad = narrow.grad.to(weight.dtype)
    optimizer = torch.optim.AdamW(trained)
    optimizer.step()
    moments = [state[name] for state in optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")]
    measured = {
        "weights": sum(weight.untyped_storage().nbytes() for weight in model.parameters()),
        "master": sum(weight.untyped_storage().nbytes() for weight in masters),
        "gradients": gradients,
        "moments": sum(moment.untyped_storage().nbytes() for moment in moments),
    }
    counted = train_memory_mixed(config, 2, 11, fused_attention=setting == "fp32")[setting]
    assert {name: counted[name] for name in measured} == measured
    assert counted["total"] == sum(measured.values()) + counted["activations"]
    ids_and_masks = activations - counted["activations"]
    assert 0 <= ids_and_masks < 0.01 * activations


def test_only_the_activations_get_smaller_with_master_weights():
    table = train_memory_mixed(GPTConfig.tiny(), 4, 32)
    states = [sum(table[s][part] for part in ("weights", "master", "gradients", "moments")) for s in table]
    assert states[0] == states[1] == 2 * states[2]
    assert table["fp16+master"]["activations"] < 0.7 * table["fp32"]["activations"]
    with pytest.raises(ValueError, match="batch and seq must be at least 1, got 0 and 32"):
        train_memory_mixed(GPTConfig.tiny(), 0, 32)


def test_sums_lose_what_the_format_cannot_hold():
    tenth = {dtype: torch.tensor(0.0, dtype=dtype) for dtype in (FP32, FP16, BF16)}
    for _ in range(1000):
        tenth = {dtype: total + torch.tensor(0.01, dtype=dtype) for dtype, total in tenth.items()}
    assert abs(tenth[FP32].item() - 10) < 1e-3
    assert 9.9 < tenth[FP16].item() < 9.99
    assert tenth[BF16].item() == 4.0
