"""Checkpoints of a run: written whole, read back with care. Belongs to `byhand.training`. Built in chapter 4."""

import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

CHECKPOINT = "checkpoint.pt"
HISTORY = "history.json"


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there, so that no reader and no crash ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        write(beside)
        with beside.open("rb") as written:
            os.fsync(written.fileno())  # else a power cut could keep the new name and lose the bytes
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values in torch's format, whole or not at all."""
    write_whole(path, lambda beside: torch.save(dict(content), beside))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; nothing in the file is executed.

    Raises:
        ValueError: when the file is damaged or something else.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} is damaged or no checkpoint of a run ({reason}): delete it to start again, or restore a copy"
        ) from None
    if not isinstance(found, dict) or not {"model", "optimizers", "settings", "history"} <= set(found):
        raise ValueError(f"{path} is no checkpoint of a run: delete it to start again, or choose another folder")
    return found
