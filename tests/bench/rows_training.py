"""A GPT of 6 layers x 384 and 8,192 tokens: training steps and prefill against transformers' GPT-2."""

import functools
import tempfile

import torch
from measure import Contenders, row

BATCH, SEQ = 8, 256
PEER = "transformers GPT-2"


@functools.cache
def pair():
    """The reference with random weights, and ours with the same, on the device."""
    from byhand import lab
    from byhand.gpt import GPT
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=8192, n_positions=SEQ, n_embd=384, n_layer=6, n_head=6, resid_pdrop=0.0)
    config.embd_pdrop = config.attn_pdrop = 0.0
    config.bos_token_id = config.eos_token_id = 0
    reference = GPT2LMHeadModel(config)
    with tempfile.TemporaryDirectory() as folder:
        reference.save_pretrained(folder)
        mine = GPT.from_pretrained(folder)
    return mine.to(lab.device()), reference.to(lab.device())


def batch():
    from byhand import lab

    ids = torch.randint(8192, (BATCH, SEQ + 1), generator=torch.Generator().manual_seed(1)).to(lab.device())
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


def matmul_peak(dtype):
    """Floating-point operations a second of a large matrix product, in this run."""
    from byhand import lab

    size = 1024 if lab.device().type == "cpu" else 8192
    left = torch.randn(size, size, device=lab.device(), dtype=dtype)
    best = float("inf")
    for _ in range(6):
        best = min(best, seconds(lambda: left @ left))
    return 2 * size**3 / best


def seconds(job):
    from measure import seconds_of

    return seconds_of(job)


def flops_of_a_step(model):
    """Six operations a weight and token, and the products of attention (Chowdhery et al. 2022, appendix B)."""
    config = model.config
    weights = sum(weight.numel() for weight in model.parameters()) - config.max_seq * config.d_model
    return BATCH * SEQ * (6 * weights + 12 * config.n_layers * config.d_model * SEQ)


def training(precision):
    """Whole updates of both: forward, backward, clipping, fused AdamW."""
    from byhand.training import TrainingConfig, next_token_loss
    from byhand.training.distributed import Processes
    from byhand.training.run import Run

    mine, reference = pair()
    mine.train()
    reference.train()
    x, y = batch()
    config = TrainingConfig(steps=10**6, batch=BATCH, lr=1e-5, precision=precision, schedule="constant")
    run = Run(mine, lambda step, count, rng: (x, y), config, next_token_loss, Processes(), None, {})
    optimizer = torch.optim.AdamW(reference.parameters(), lr=1e-5, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    labels = torch.cat([x, y[:, -1:]], 1)

    def step_of_reference():
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = reference(x).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    def step():
        run.update()
        run.read()
        return run.history.loss[-1]

    losses = step(), step_of_reference()
    assert abs(losses[0] - losses[1]) < (1e-4 if precision == "fp32" else 3e-2), losses
    peak = matmul_peak(torch.float32 if precision == "fp32" else torch.bfloat16)
    spent = sorted(seconds(step) for _ in range(3))[1]
    return Contenders(
        {"byhand": step, PEER: step_of_reference},
        {PEER: f"MFU {flops_of_a_step(mine) / spent / peak:.2f} of the matmul peak {peak / 1e9:.0f} GFLOP/s"},
    )


@row("training step fp32", {PEER: 1.13}, limit="matmul peak")
def training_fp32():
    """In float32."""
    return training("fp32")


@row("training step bf16 autocast", {PEER: 1.10}, limit="matmul peak")
def training_bf16():
    """Under autocast."""
    return training("bf16")


@row("prefill fp32", {PEER: 1.10}, limit="matmul peak")
def prefill():
    """The logits of the next token after a prompt, which is where generation begins."""
    mine, reference = pair()
    mine.eval()
    reference.eval()
    x, _ = batch()

    @torch.no_grad()
    def ours():
        return mine.next_logits(x)

    @torch.no_grad()
    def theirs():
        return reference(x, use_cache=False, logits_to_keep=1).logits[:, -1]

    torch.testing.assert_close(ours(), theirs(), rtol=1e-4, atol=1e-4)
    return {"byhand": ours, PEER: theirs}
