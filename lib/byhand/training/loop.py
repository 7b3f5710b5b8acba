"""The training loop. Belongs to `byhand.training`. Built in chapter 4."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from byhand.training.config import TrainingConfig
from byhand.training.distributed import processes
from byhand.training.history import History
from byhand.training.loss import next_token_loss
from byhand.training.run import Batches, Heldout, Loss, Run, Watch

SHOWN = 10
"""Updates whose mean loss the progress bar shows."""


def train(
    model: nn.Module,
    batches: Batches,
    config: TrainingConfig,
    *,
    loss: Loss = next_token_loss,
    heldout: Heldout | None = None,
    folder: str | Path | None = None,
    watch: Watch | None = None,
    about: Mapping[str, object] | None = None,
    show: bool = True,
) -> History:
    """Train a model in place and return the record of it.

    With a folder the run is saved there, and a run that is there already goes on, bit for bit as if it had never
    stopped. Under torchrun each process takes its share of every batch, and number 0 prints and saves. torch's
    global random state is left as it was, and so is the model's mode.

    Args:
        model: on the device where it shall be trained; under torchrun it is moved to the process' GPU.
        batches: where batches come from: `byhand.packing.Windows`, `Rows`, or any function of (step, batch, rng).
        config: how to train.
        loss: the summed loss of a batch and its number of targets.
        heldout: the model's loss on other text, as `heldout_loss(ids, seq)` measures it.
        folder: for `checkpoint.pt` and `history.json`.
        watch: called with the updates made and the model after every look at held-out text, dropout off.
        about: what else must be the same when a run goes on, besides `config` and the model's own: the corpus, say.
        show: whether to show a progress bar.

    Raises:
        ValueError: when the folder holds a run with other settings or another model, or a damaged checkpoint; when
            the batch does not divide among the processes; when the loss is no longer a number.

    >>> import torch
    >>> from byhand.gpt import GPT, GPTConfig
    >>> from byhand.packing import Windows
    >>> model = GPT(GPTConfig.tiny(vocab_size=8, d_model=16, n_layers=1), torch.Generator().manual_seed(0))
    >>> counting = Windows(torch.arange(200) % 8, seq=16)
    >>> history = train(model, counting, TrainingConfig(steps=40, batch=4, lr=1e-2), show=False)
    >>> history.loss[-1] < history.loss[0] / 2
    True
    """
    with processes() as group:
        if group.device is not None:
            model.to(group.device)
        if config.batch % (config.accumulate * group.world):
            raise ValueError(
                f"a batch of {config.batch} does not divide among {group.world} processes with "
                f"accumulate={config.accumulate}: take a multiple of {config.accumulate * group.world}"
            )
        run = Run(model, batches, config, loss, group, None if folder is None else Path(folder), about or {})
        run.restore()
        with run.apart(), _Bar(config.steps, show and group.first) as bar:
            while not run.done:
                run.update()
                looking, saving = run.due(config.eval_every), run.due(config.save_every)
                if looking:
                    run.look(heldout, watch)
                if looking or saving or run.due(run.read_every):
                    run.read()
                    bar.show(run)
                if saving:
                    run.save()
        return run.history


class _Bar:
    """A progress bar: loss, held-out loss, targets a second, time left."""

    def __init__(self, steps: int, show: bool) -> None:
        self.steps = steps
        self.shown = show
        self.bar: Any = None

    def __enter__(self) -> "_Bar":
        if self.shown:
            from tqdm import tqdm

            self.bar = tqdm(total=self.steps, unit="update", dynamic_ncols=True)
        return self

    def show(self, run: Run) -> None:
        if self.bar is None:
            return
        history = run.history
        recent = history.loss[-SHOWN:]
        said = {"loss": f"{sum(recent) / len(recent):.3f}"}
        if history.heldout:
            said["held-out"] = f"{history.heldout[-1][1]:.3f}"
        if history.seconds:
            said["tokens/s"] = f"{history.targets / history.seconds:,.0f}"
        self.bar.set_postfix(said, refresh=False)
        self.bar.update(run.step - self.bar.n)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
