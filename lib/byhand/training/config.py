"""What a training run is told: one frozen dataclass, and the reader of its documentation for the command line.

Belongs to `byhand.training`. Built in chapter 4.
"""

import dataclasses
import inspect
import re
from dataclasses import dataclass
from typing import Literal, get_args

Precision = Literal["fp32", "bf16"]
OptimizerName = Literal["adamw", "muon"]
Schedule = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained.

    Attributes:
        steps: how often the weights are updated.
        batch: sequences in one update, over all processes and all its parts together.
        lr: the learning rate after the warm-up.
        lr_min: the learning rate at the end of the schedule.
        warmup: updates over which the rate rises from 0 to lr.
        schedule: how the rate falls from lr to lr_min after the warm-up: cosine, linear, or constant (not at all).
        optimizer: adamw, or muon (Muon for the matrices inside the blocks, AdamW for everything else).
        weight_decay: share of each matrix, times the rate, that an update takes off it; vectors are left alone.
        clip: the largest norm of all gradients together; larger ones are scaled down to it. 0 never clips.
        accumulate: parts into which an update's batch is cut when it does not fit into memory; the result is the same.
        precision: fp32, or bf16 (autocast: matrix products in bfloat16, weights and sums in float32).
        compile: let torch.compile fuse the model first; pays on a GPU, seldom on a CPU.
        seed: of the batches and of dropout.
        eval_every: updates between two looks at held-out text; 0 looks at the end only.
        save_every: updates between two saved checkpoints; 0 saves at the end only.

    Raises:
        ValueError: when two settings contradict each other, or one is out of its range.
    """

    steps: int
    batch: int = 16
    lr: float = 1e-3
    lr_min: float = 0.0
    warmup: int = 0
    schedule: Schedule = "cosine"
    optimizer: OptimizerName = "adamw"
    weight_decay: float = 0.1
    clip: float = 1.0
    accumulate: int = 1
    precision: Precision = "fp32"
    compile: bool = False
    seed: int = 0
    eval_every: int = 0
    save_every: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("lr_min", "warmup", "weight_decay", "clip", "seed", "eval_every", "save_every"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be above 0, got {self.lr}: nothing would be learned")
        if self.lr_min > self.lr:
            raise ValueError(f"lr_min {self.lr_min} is above lr {self.lr}: the rate falls from lr to lr_min")
        if self.warmup > self.steps:
            raise ValueError(f"warmup {self.warmup} is longer than the {self.steps} steps: lower it, or train longer")
        if self.batch % self.accumulate:
            raise ValueError(
                f"a batch of {self.batch} cannot be cut into accumulate={self.accumulate} equal parts: "
                f"take a batch that is a multiple of {self.accumulate}"
            )
        for name, kind in (("precision", Precision), ("optimizer", OptimizerName), ("schedule", Schedule)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(get_args(kind))}")


def field_docs(config: type) -> dict[str, str]:
    """What a configuration's docstring says about each field, on one line: the help of the command line.

    Raises:
        ValueError: when a field has no line under `Attributes:`, or a line has no field.

    >>> field_docs(TrainingConfig)["steps"]
    'how often the weights are updated.'
    """
    text = inspect.getdoc(config) or ""
    section = text.partition("Attributes:\n")[2].partition("\n\n")[0]
    found = {name: " ".join(doc.split()) for name, doc in re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.M)}
    fields = {field.name for field in dataclasses.fields(config)}
    if set(found) != fields:
        raise ValueError(
            f"{config.__name__}: its Attributes and its fields differ in {', '.join(sorted(set(found) ^ fields))}: "
            "document each field once"
        )
    return found
