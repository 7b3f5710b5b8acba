"""Several processes under torchrun train as one does, and the script does not know the difference."""

import os
import subprocess
import sys

import pytest
import torch
from byhand.training import History
from byhand.training.distributed import Processes
from byhand.training.saving import CHECKPOINT, HISTORY, load_checkpoint

SCRIPT = """
import sys
import torch
from byhand.gpt import GPT, GPTConfig
from byhand.packing import IGNORED, Windows
from byhand.training import TrainingConfig, heldout_loss, train

ids = torch.randint(29, (400,), generator=torch.Generator().manual_seed(0))
windows = Windows(ids[:350], 7)


def ragged(step, batch, rng):
    x, y = windows(step, batch, rng)
    return x, y.masked_fill(torch.arange(7) > torch.arange(batch).unsqueeze(1), IGNORED)


model = GPT(GPTConfig(vocab_size=29, max_seq=8, d_model=12, n_layers=2, n_heads=2)).double()
config = TrainingConfig(steps=6, batch=8, lr=1e-2, warmup=2, eval_every=3, save_every=4, accumulate=2)
history = train(model, ragged, config, heldout=heldout_loss(ids[350:], 7), folder=sys.argv[1])
print("done", history.steps)
"""


def start(tmp_path, name, *command, **variables):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("n_heads=2)", "n_heads=2), torch.Generator().manual_seed(1)"))
    return subprocess.run(
        [sys.executable, *command, str(script), name],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_and_the_first_alone_prints_and_saves(tmp_path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    alone, together = start(tmp_path, "one"), start(tmp_path, "two", *torchrun)
    assert alone.returncode == 0, alone.stderr
    assert together.returncode == 0, together.stderr
    first, second = (load_checkpoint(tmp_path / name / CHECKPOINT) for name in ("one", "two"))
    for name, weight in first["model"].items():
        torch.testing.assert_close(second["model"][name], weight, rtol=0, atol=1e-6)
    one, two = (History.load(tmp_path / name / HISTORY) for name in ("one", "two"))
    assert two.loss == pytest.approx(one.loss, rel=1e-6)
    assert two.grad_norm == pytest.approx(one.grad_norm, rel=1e-6)
    assert [step for step, _ in two.heldout] == [3, 6]
    assert two.heldout[-1][1] == pytest.approx(one.heldout[-1][1], rel=1e-6)
    assert two.targets == one.targets == 6 * (1 + 2 + 3 + 4 + 5 + 6 + 7 + 7)
    assert together.stderr.count("| 0/6 ") == 1, "one bar is shown"
    assert together.stdout.count("done 6") == 2


def test_a_batch_that_does_not_divide_among_the_processes_is_named(monkeypatch):
    import contextlib

    from byhand.gpt import GPT, GPTConfig
    from byhand.training import TrainingConfig, loop, train

    monkeypatch.setattr(loop, "processes", lambda: contextlib.nullcontext(Processes(rank=0, world=4)))
    config = TrainingConfig(steps=1, batch=6, accumulate=3)
    with pytest.raises(ValueError, match="6 does not divide among 4 processes with accumulate=3: take a multiple"):
        train(GPT(GPTConfig.tiny(n_layers=1)), lambda *_: (), config, show=False)


def test_the_parts_of_all_processes_are_the_batch():
    batch = (torch.arange(12).view(6, 2), torch.arange(6))
    parts = [Processes(rank=rank, world=3).own_part(batch) for rank in range(3)]
    for number, whole in enumerate(batch):
        assert torch.equal(torch.cat([part[number] for part in parts]), whole)
