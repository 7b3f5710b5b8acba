"""How fast a machine multiplies matrices and trains, in each precision.

Holds the two measurements, the peaks that NVIDIA publishes, and a report as a JSON file: `python -m
byhand.scaling.speed FILE` writes one. A CPU runs the same code with small sizes. Leaves out several devices. Belongs
to `byhand.scaling`; chapter 15 draws what it measures.
"""

import argparse
import functools
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from byhand.gpt import GPT, GPTConfig
from byhand.scaling.flops import flops_utilization, train_flops
from byhand.scaling.memory import gpt_parameters

NARROW = {"fp16": torch.float16, "bf16": torch.bfloat16}
REPORT = Path(__file__).parents[1] / "data" / "gpu-speed.json"
"""Where a stored report lies, if one was ever made."""

_HOPPER = {"fp32": 66.9, "tf32": 494.7, "fp16": 989.4, "bf16": 989.4}
PEAKS = {
    "NVIDIA A100": {"fp32": 19.5, "tf32": 156.0, "fp16": 312.0, "bf16": 312.0},
    "NVIDIA H100 80GB HBM3": _HOPPER,
    "NVIDIA H200": _HOPPER,
}
"""TFLOP/s without sparsity, of the SXM boards, by how the driver names them (NVIDIA's data sheets, 2020 to 2024)."""


def published_peak(name: str, precision: str) -> float | None:
    """TFLOP/s that the maker promises for dense matrices; None for a device that is not in the list.

    >>> published_peak("NVIDIA A100-SXM4-80GB", "bf16"), published_peak("NVIDIA H200 NVL", "bf16")
    (312.0, None)
    """
    if "NVL" in name or ("H100" in name and "PCIe" in name):
        return None
    return next((peaks.get(precision) for known, peaks in PEAKS.items() if name.startswith(known)), None)


def machine_name(device: str | torch.device) -> str:
    """What the driver calls the GPU, or the kind of processor."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def precisions_of(device: str | torch.device) -> tuple[str, ...]:
    """The precisions worth measuring; TF32 is a GPU's."""
    return ("fp32", "tf32", "fp16", "bf16") if torch.device(device).type == "cuda" else ("fp32", "fp16", "bf16")


def seconds(work: Callable[[], object], device: str | torch.device, repeats: int) -> float:
    """The median time of some work, after one run that is not counted.

    A GPU is waited for: it takes orders and answers later, and without the wait one measures the ordering.
    """

    def wait() -> None:
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize()

    work()
    wait()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


@contextmanager
def float32_products(precision: str) -> Iterator[None]:
    """Inside, float32 products are exact, or with "tf32" rounded to 10 bits of fraction where a GPU can do that."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def matmul_speeds(
    size: int, device: str | torch.device, precisions: Sequence[str] | None = None, repeats: int = 5
) -> dict[str, float]:
    """TFLOP/s of the product of two square matrices, by precision.

    >>> sorted(matmul_speeds(32, "cpu", ["fp32", "bf16"], repeats=1))
    ['bf16', 'fp32']
    """
    speeds = {}
    for precision in precisions or precisions_of(device):
        left, right = (torch.randn(size, size, device=device).to(NARROW.get(precision)) for _ in range(2))
        with float32_products(precision):
            taken = seconds(functools.partial(torch.matmul, left, right), device, repeats)
        speeds[precision] = 2 * size**3 / taken / 1e12
    return speeds


def training_speeds(
    config: GPTConfig,
    batch: int,
    seq: int,
    device: str | torch.device,
    precisions: Sequence[str] | None = None,
    repeats: int = 5,
) -> dict[str, dict[str, Any]]:
    """What a training step with AdamW takes in each precision, on random tokens.

    fp16 and bf16 mean autocast over float32 weights; fp16 has a scaled loss.

    Returns:
        For each precision `step_seconds`, `tokens_per_second`, `peak_bytes` of GPU memory (None on a CPU), `mfu` (None
        where the maker's peak is not known) and `losses` of all steps.

    >>> report = training_speeds(GPTConfig.tiny(d_model=8, n_layers=1), 2, 4, "cpu", ["bf16"], repeats=1)
    >>> sorted(report["bf16"])
    ['losses', 'mfu', 'peak_bytes', 'step_seconds', 'tokens_per_second']
    """
    device = torch.device(device)
    rng = torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocab_size, (batch, seq + 1), generator=rng).to(device)
    x, y = ids[:, :-1], ids[:, 1:]
    report = {}
    for precision in precisions or precisions_of(device):
        model = GPT(config, torch.Generator().manual_seed(0)).to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        losses: list[torch.Tensor] = []
        narrow = NARROW.get(precision)

        def step(
            model: GPT = model,
            optimizer: torch.optim.Optimizer = optimizer,
            scaler: torch.amp.GradScaler = scaler,
            losses: list[torch.Tensor] = losses,
            narrow: torch.dtype | None = narrow,
        ) -> None:
            optimizer.zero_grad()
            with torch.autocast(device.type, dtype=narrow or torch.bfloat16, enabled=narrow is not None):
                logits = model(x)
            loss = F.cross_entropy(logits.float().flatten(0, 1), y.flatten())
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.detach())

        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        with float32_products(precision):
            taken = seconds(step, device, repeats)
        peak = published_peak(machine_name(device), precision)
        flops = train_flops(config, batch * seq, exact=True, seq=seq)
        report[precision] = {
            "step_seconds": taken,
            "tokens_per_second": batch * seq / taken,
            "peak_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
            "mfu": flops_utilization(flops, taken, peak * 1e12) if peak else None,
            "losses": [loss.item() for loss in losses],
        }
        del model, optimizer, scaler, step  # or the next precision's peak counts this one's weights
    return report


def measure(device: str | torch.device, tiny: bool = False, repeats: int = 5) -> dict[str, Any]:
    """Both measurements with the machine's name; GPT-2's smallest shape and products of 8,192, or tiny ones.

    Where the GPU's memory does not hold eight sequences, fewer are taken; the report says how many.
    """
    config = GPTConfig.tiny() if tiny else GPTConfig.gpt2()
    batch, seq, size = (2, 32, 256) if tiny else (8, 1024, 8192)
    products = matmul_speeds(size, device, repeats=repeats)
    while True:
        try:
            training = training_speeds(config, batch, seq, device, repeats=repeats)
            break
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
        batch //= 2  # outside the handler, whose traceback still holds the tensors
    return {
        "machine": machine_name(device),
        "torch": torch.__version__,
        "model": {"parameters": gpt_parameters(config), "batch": batch, "seq": seq},
        "size": size,
        "matmul_tflops": products,
        "training": training,
    }


def stored_report(path: Path = REPORT) -> dict[str, Any] | None:
    """The report that came with the library; None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure this machine and write the report."""
    parser = argparse.ArgumentParser(prog="python -m byhand.scaling.speed", description=main.__doc__)
    parser.add_argument(
        "file", type=Path, help=f"where to write; the book draws {REPORT.name} beside the library's data"
    )
    parser.add_argument("--device", default="cuda", help="cuda (default) or cpu")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the command out")
    given = parser.parse_args(arguments)
    if torch.device(given.device).type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here: add --device cpu --tiny to try the command out")
    report = measure(given.device, given.tiny)
    given.file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{report['machine']}: {given.file}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
