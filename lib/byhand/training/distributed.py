"""One process, or several that share each batch: the same script runs under `torchrun` unchanged.

Holds what a process must know of the others. Leaves out splitting the model itself over devices (FSDP, tensor and
pipeline parallelism). Belongs to `byhand.training`. Built in chapter 4.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Processes:
    """This process among all of them.

    Attributes:
        rank: its number, from 0; number 0 alone prints and saves.
        world: how many there are.
        device: its GPU, under torchrun on a machine with GPUs; else None, and the model stays where it is.
    """

    rank: int = 0
    world: int = 1
    device: torch.device | None = None

    @property
    def first(self) -> bool:
        """Whether this process prints and saves."""
        return self.rank == 0

    def own_part(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """This process' rows of a batch that all of them have drawn.

        >>> Processes(rank=1, world=2).own_part((torch.arange(4),))
        (tensor([2, 3]),)
        """
        return tuple(part.chunk(self.world)[self.rank] for part in batch)

    def total(self, count: Tensor) -> Tensor:
        """The sum of a count over all processes."""
        if self.world > 1:
            dist.all_reduce(count)
        return count

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, its gradients averaged over the processes in every backward pass."""
        if self.world == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(
            model, device_ids=None if self.device is None else [self.device], gradient_as_bucket_view=True
        )


@contextmanager
def processes() -> Iterator[Processes]:
    """Join the processes that torchrun started (it sets WORLD_SIZE), and leave them afterwards; else be alone."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes()
        return
    device = None
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    began = not dist.is_initialized()
    if began:
        dist.init_process_group("gloo" if device is None else "nccl")
    try:
        yield Processes(dist.get_rank(), world, device)
    finally:
        if began:
            dist.destroy_process_group()
