"""The runs behind the table that chapter 12 fits: `python -m byhand.scaling.sweep`, a part of `make checkpoints`.

Seven sizes read the same text. Each first tries every learning rate on the shortest length, and keeps its own best:
one rate for all would favour the sizes that it happens to suit. Then it is trained anew for each length, with a
schedule that ends where the run ends (Hoffmann et al. 2022, section 3.1). Leaves out the reader of the table
(`byhand.corpora.scaling_runs`). Built in chapter 12.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor, nn

from byhand.corpora.docstrings import docstrings
from byhand.corpora.python_docs import corpus_hash, ready_split
from byhand.corpora.scaling_runs import RUNS_FILE, ScalingRun
from byhand.corpora.tokenizer import END_OF_TEXT, load_tokenizer
from byhand.gpt import GPT, GPTConfig
from byhand.packing import Windows
from byhand.scaling.flops import matmul_parameters, train_flops
from byhand.splitting import word_ngrams
from byhand.training import TrainingConfig, evaluate, evaluating, train

WIDTHS = (8, 12, 20, 32, 48, 64, 80)
RATES = (8e-3, 1.6e-2, 3.2e-2, 6.4e-2)
LENGTHS = (256, 512, 1024, 2048)
"""Updates of a run; the rates are tried at the first."""
REPEATED = 512
"""The length that is run with every seed."""
SEEDS = (0, 1)
BATCH = 16
SEQ = 64
IN_A_ROW = 6
WORDS = 13
"""A docstring that shares so many words in a row with the held-out text is left out."""


def sweep_ids() -> tuple[Int[Tensor, " train"], Int[Tensor, " heldout"]]:
    """Token ids: the documentation's training part and the standard library's docstrings; the documentation's rest.

    No run of thirteen words stands in both.
    """
    train_text, heldout_text = ready_split()
    held = set(word_ngrams(heldout_text, WORDS))
    texts = [entry.text for entry in docstrings() if held.isdisjoint(word_ngrams(entry.text, WORDS))]
    tokenizer = load_tokenizer()
    end = tokenizer.token_to_id(END_OF_TEXT)
    encoded = tokenizer.encode_batch([train_text, *texts])
    stream = [token for one in encoded for token in (*one.ids, end)]
    return torch.tensor(stream), torch.tensor(tokenizer.encode(heldout_text).ids)


def config_of(width: int) -> GPTConfig:
    """Two blocks of some width over the shipped tokenizer's vocabulary; heads of about sixteen."""
    return GPTConfig(1024, SEQ, width, 2, max(1, width // 16))


def right_in_a_row(model: nn.Module, ids: Int[Tensor, " heldout"]) -> tuple[float, ...]:
    """The share of places from which so many tokens in a row are the most probable ones, for 1 to IN_A_ROW tokens.

    Windows lie side by side; a row of tokens never crosses their border, and all lengths count the same places.
    """
    count = (len(ids) - 1) // SEQ
    windows = ids[: count * SEQ + 1].unfold(0, SEQ + 1, SEQ)
    with evaluating(model):
        hits = torch.cat([model(part[:, :-1]).argmax(-1) == part[:, 1:] for part in torch.split(windows, 16)])
    rows = hits.unfold(1, IN_A_ROW, 1)  # (windows, places, IN_A_ROW)
    return tuple(round(rows[..., : n + 1].all(-1).double().mean().item(), 5) for n in range(IN_A_ROW))


def run(
    width: int, steps: int, lr: float, seed: int, stream: Int[Tensor, " train"], heldout: Int[Tensor, " heldout"]
) -> ScalingRun:
    """Train one model and measure it."""
    config = config_of(width)
    model = GPT(config, torch.Generator().manual_seed(seed))
    plan = TrainingConfig(
        steps=steps, batch=BATCH, lr=lr, warmup=steps // 10, seed=seed, optimizer="muon", precision="bf16"
    )
    history = train(model, Windows(stream, SEQ), plan, show=False)
    nats, count = evaluate(model, heldout, SEQ)
    row = right_in_a_row(model, heldout)
    return ScalingRun(
        d_model=width,
        n_layers=config.n_layers,
        parameters=matmul_parameters(config),
        tokens=history.targets,
        flops=train_flops(config, history.targets, exact=True),
        lr=lr,
        seed=seed,
        loss=round(nats / count, 4),
        accuracy=row[0],
        right_in_a_row=row,
    )


def sweep(
    start: Callable[[int, int, float, int], ScalingRun],
    widths: Sequence[int] = WIDTHS,
    rates: Sequence[float] = RATES,
    lengths: Sequence[int] = LENGTHS,
) -> Iterator[ScalingRun]:
    """Every run of the table, one after the other: for each width the rates, then the lengths with the best of them.

    Args:
        start: makes a run of a width, a number of updates, a learning rate and a seed.
        widths: of the models.
        rates: tried with the first of the lengths.
        lengths: of the runs, in updates.
    """
    for width in widths:
        tried = [start(width, lengths[0], lr, SEEDS[0]) for lr in rates]
        yield from tried
        best = min(tried, key=lambda run: run.loss).lr
        for steps in lengths[1:]:
            for seed in SEEDS if steps == REPEATED else SEEDS[:1]:
                yield start(width, steps, best, seed)


def main() -> None:
    """Make the table again and write it where it is read."""
    parser = argparse.ArgumentParser(prog="python -m byhand.scaling.sweep", description="Make the table of runs.")
    parser.add_argument("--to", type=Path, default=RUNS_FILE, help="the file to write")
    target = parser.parse_args().to
    stream, heldout = sweep_ids()
    started, rows = time.process_time(), []
    for made in sweep(lambda width, steps, lr, seed: run(width, steps, lr, seed, stream, heldout)):
        rows.append(asdict(made))
        minutes = (time.process_time() - started) / 60
        print(f"{minutes:5.1f} CPU-minutes  {made}", flush=True)  # noqa: T201
    about = {
        "what": "Small GPTs of seven sizes, each trained on 262,144 to 2,097,152 tokens: one run a row.",
        "data": {
            "text": "documentation (training part) and docstrings of this Python; held-out part of the documentation",
            "corpus": corpus_hash(),
            "training_tokens": len(stream),
            "heldout_tokens": len(heldout),
        },
        "recipe": {"batch": BATCH, "seq": SEQ, "rates": RATES, "warmup": "a tenth", "optimizer": "muon, bf16"},
        "made": {
            "by": "python -m byhand.scaling.sweep",
            "cpu_minutes": round((time.process_time() - started) / 60, 1),
            "date": datetime.now(UTC).date().isoformat(),
            "torch": torch.__version__,
        },
    }
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    head = json.dumps(about, indent=1)[:-2]
    target.write_text(f'{head},\n "runs": [\n  {lines}\n ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
