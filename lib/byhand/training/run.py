"""A training run between two updates: what it has learned so far, and what it does next.

The draw of update n, batch and dropout alike, depends on the seed and n alone: a run that goes on from a checkpoint
repeats what it would have done, bit for bit. Belongs to `byhand.training`. Built in chapter 4.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from byhand.training.config import TrainingConfig
from byhand.training.distributed import Processes
from byhand.training.evaluation import evaluating
from byhand.training.history import History
from byhand.training.optimizers import make_optimizers
from byhand.training.saving import CHECKPOINT, HISTORY, load_checkpoint, save_checkpoint
from byhand.training.step import clip_gradients, scheduled_lr

Heldout = Callable[[nn.Module], float]
Watch = Callable[[int, nn.Module], object]
Batches = Callable[[int, int, torch.Generator], tuple[Tensor, ...]]
"""From the number of an update, a number of sequences and a generator to the tensors of a batch, rows first."""

Loss = Callable[..., tuple[Tensor, Tensor]]
"""From the model and a batch's tensors to the summed loss and the number of targets in it."""

READ_ON_GPU = 10
"""Updates between two looks at the loss on a GPU, where each look waits for all the work that was queued."""


class Objective(nn.Module):
    """Model and loss as one module: DistributedDataParallel must see the whole way from batch to loss."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, *batch: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss and count of targets of a batch."""
        return self.loss(self.model, *batch)


class Run:
    """The state of a run; `byhand.training.train` says what the arguments are."""

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        config: TrainingConfig,
        loss: Loss,
        group: Processes,
        folder: Path | None,
        about: Mapping[str, object],
    ) -> None:
        self.model = model
        self.batches = batches
        self.config = config
        self.group = group
        self.folder = folder
        self.settings = {**_settings_of(model), **about, **asdict(config)}
        self.device = next(model.parameters()).device
        self.trained = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizers = make_optimizers(model, config)
        objective: nn.Module = group.wrap(Objective(model, loss))
        self.objective: Any = torch.compile(objective) if config.compile else objective
        self.history = History()
        self.step = 0
        self.read_every = READ_ON_GPU if self.device.type == "cuda" else 1
        self.unread: list[tuple[Tensor, Tensor, Tensor, float]] = []
        self.since = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether all updates were made."""
        return self.step == self.config.steps

    def due(self, every: int) -> bool:
        """Whether it is time for what is done every so many updates, and at the end."""
        return self.done or (every > 0 and self.step % every == 0)

    def update(self) -> None:
        """One update of the weights: draw, backward in parts, clip, step.

        Raises:
            ValueError: when the source gives another number of sequences than it was asked for.
        """
        config, group = self.config, self.group
        rng = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        torch.manual_seed((config.seed * 1_000_003 + self.step) * 1_009 + group.rank)  # of dropout
        drawn = self.batches(self.step, config.batch, rng)
        if any(len(part) != config.batch for part in drawn):
            raise ValueError(f"asked for {config.batch} sequences, got {[len(part) for part in drawn]} rows")
        batch = tuple(part.to(self.device) for part in group.own_part(drawn))
        total, count = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        for number, parts in enumerate(zip(*(part.chunk(config.accumulate) for part in batch), strict=True)):
            with self._together_only_if(number == config.accumulate - 1), self._precision():
                part_loss, part_count = self.objective(*parts)
                part_loss.backward()
            total += part_loss.detach()
            count += part_count
        total, count = group.total(total), group.total(count)
        # The gradients are those of sums, averaged over the processes; the loss is the mean over all targets.
        norm = clip_gradients(self.trained, config.clip, group.world / count.clamp(min=1))
        rate = scheduled_lr(self.step, config.warmup, config.steps, config.lr, config.lr_min, config.schedule)
        for optimizer in self.optimizers:
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        self.unread.append((total, count, norm, rate))

    def read(self) -> None:
        """Take losses and norms into the record.

        Raises:
            ValueError: when a loss is no longer a number.
        """
        for total, count, norm, rate in self.unread:
            mean = (total / count.clamp(min=1)).item()
            if not math.isfinite(mean):
                raise ValueError(
                    f"the loss is {mean} at update {self.history.steps + 1}: lower lr ({self.config.lr}), add warm-up "
                    f"({self.config.warmup} updates) or clip ({self.config.clip}), or look for broken input"
                )
            self.history.loss.append(mean)
            self.history.grad_norm.append(norm.item())
            self.history.lr.append(rate)
            self.history.targets += int(count.item())
        self.unread.clear()
        now = time.monotonic()
        self.history.seconds += now - self.since
        self.since = now

    def look(self, heldout: Heldout | None, watch: Watch | None) -> None:
        """Measure held-out text and let the caller look, on the first process."""
        if not self.group.first:
            return
        with evaluating(self.model):
            if heldout is not None:
                self.history.heldout.append((self.step, float(heldout(self.model))))
            if watch is not None:
                watch(self.step, self.model)

    def save(self) -> None:
        """Write the checkpoint and the record, on the first process."""
        if self.folder is None or not self.group.first:
            return
        content = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "settings": self.settings,
            "history": asdict(self.history),
        }
        save_checkpoint(self.folder / CHECKPOINT, content)
        self.history.save(self.folder / HISTORY)

    def restore(self) -> None:
        """Go on from the folder's checkpoint where there is one.

        Raises:
            ValueError: when that is damaged, or of a run with other settings or another model.
        """
        if self.folder is None or not (self.folder / CHECKPOINT).exists():
            return
        path = self.folder / CHECKPOINT
        found = load_checkpoint(path)
        own, kept = self.settings, found["settings"]
        # How often one looks or saves changes nothing that is learned.
        names = [name for name in {**own, **kept} if not name.endswith("_every")]
        if differ := [name for name in names if own.get(name) != kept.get(name)]:
            said = ", ".join(f"{name} {kept.get(name)!r} there, {own.get(name)!r} here" for name in differ)
            raise ValueError(
                f"{path} belongs to a run with other settings ({said}): choose another folder, or delete it"
            )
        here, there = (
            {name: tuple(w.shape) for name, w in s.items()} for s in (self.model.state_dict(), found["model"])
        )
        if here != there:
            name = min(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
            raise ValueError(
                f"{path} belongs to another model ({name} is {there.get(name, 'absent')} there, "
                f"{here.get(name, 'absent')} here): choose another folder, or delete it"
            )
        self.model.load_state_dict(found["model"])
        for optimizer, state in zip(self.optimizers, found["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        record = found["history"]
        self.history = History(**{**record, "heldout": [tuple(pair) for pair in record["heldout"]]})
        self.step = self.history.steps

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Train mode and random state of the run's own inside; as they were afterwards."""
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.train()
        devices = [self.device] if self.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices):
                yield
        finally:
            for module, mode in modes:
                module.training = mode

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _together_only_if(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Processes exchange gradients once an update, with its last part."""
        if self.group.world == 1 or last:
            return contextlib.nullcontext()
        no_sync: contextlib.AbstractContextManager[Any] = self.objective.no_sync()
        return no_sync


def _settings_of(model: nn.Module) -> dict[str, Any]:
    """The fields of the model's own configuration, where it has one: weights of one shape can mean different models."""
    config = getattr(model, "config", None)
    return asdict(config) if is_dataclass(config) and not isinstance(config, type) else {}
