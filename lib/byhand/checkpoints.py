"""The small models that come with the library: their weights, what they are made of, and how they were trained.

Each is two files under `data/checkpoints`: NAME.safetensors holds the weights in fp16, NAME.json is the card. A card
says what the model is, its data, its recipe, what it cost, what it reaches on held-out data, and the SHA-256 of
the weights, which every reading checks. Leaves out the model class (`byhand.gpt`, `GPT.from_checkpoint`) and the
training (`byhand.training.recipes`, `make checkpoints`). Belongs to no chapter.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).parent / "data" / "checkpoints"
REMEDY = "install the library again, or make the file with `python -m byhand.training.recipes"
_NEEDED = ("name", "what", "data", "recipe", "config", "parameters", "results", "sha256")


@dataclass(frozen=True)
class Checkpoint:
    """One shipped model.

    Attributes:
        weights: name to tensor, in float32.
        config: the fields of `byhand.gpt.GPTConfig`.
        card: everything that is known about the model; `config` is a part of it.
    """

    weights: dict[str, "Tensor"]
    config: dict[str, Any]
    card: dict[str, Any]


def names(folder: Path = FOLDER) -> list[str]:
    """The names that can be read, in alphabetical order.

    >>> "stories" in names()
    True
    """
    return sorted(card.stem for card in folder.glob("*.json"))


def read_card(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """The card of a shipped model, without its weights.

    Raises:
        ValueError: when there is no such model (the message lists those there are), or the card is damaged.

    >>> read_card("stories")["config"]["n_layers"]
    6
    """
    if name not in names(folder):
        raise ValueError(f"there is no checkpoint {name!r}; there are: {', '.join(names(folder)) or 'none'}")
    path = folder / f"{name}.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"the card {path.name} is not JSON ({error}): {REMEDY} {name}`") from None
    missing = [key for key in _NEEDED if key not in card] if isinstance(card, dict) else list(_NEEDED)
    if missing:
        raise ValueError(f"the card {path.name} does not say {', '.join(missing)}: {REMEDY} {name}`")
    return dict(card)


def read(name: str, folder: Path = FOLDER) -> Checkpoint:
    """A shipped model's weights, brought to float32, its configuration and its card.

    Raises:
        ValueError: when there is no such model, the card is damaged, or the weights are not the ones it names.
        FileNotFoundError: when the card is there and the weights are not.

    >>> sorted(read("stories-draft").weights)[-1]
    'token_embedding.weight'
    """
    from safetensors.torch import load

    card = read_card(name, folder)
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing, its card is there: {REMEDY} {name}`")
    stored = path.read_bytes()
    found = hashlib.sha256(stored).hexdigest()
    if found != card["sha256"]:
        raise ValueError(
            f"{path.name} ({len(stored)} bytes) has SHA-256 {found[:12]}…, its card says {card['sha256'][:12]}…: "
            f"the file is cut short, damaged or another one; {REMEDY} {name}`"
        )
    return Checkpoint({key: tensor.float() for key, tensor in load(stored).items()}, card["config"], card)


def write(name: str, weights: Mapping[str, "Tensor"], card: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Store weights in fp16 with their card; the weights' SHA-256 is added to it. Returns the weights' path.

    The card is written last, so that a broken run leaves no card that names weights which are not there.

    Raises:
        ValueError: when a weight is too large for fp16, or not a number.
    """
    from safetensors.torch import save

    halves = {key: tensor.detach().cpu().half().contiguous() for key, tensor in sorted(weights.items())}
    lost = [key for key, tensor in halves.items() if not tensor.isfinite().all()]
    if lost:
        raise ValueError(f"{', '.join(lost)} cannot be stored in fp16: values above 65,504 or not finite")
    stored = save(halves)
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"name": name, **card, "sha256": hashlib.sha256(stored).hexdigest()}
    path = folder / f"{name}.safetensors"
    for target, content in (
        (path, stored),
        (folder / f"{name}.json", (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()),
    ):
        beside = target.with_name(target.name + ".part")
        beside.write_bytes(content)
        beside.replace(target)
    return path
