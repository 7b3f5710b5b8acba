"""Giving a model the weights of a checkpoint that uses other names, all of them or none.

Leaves out the tables of names (`byhand.hub.names`). Belongs to no chapter.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from byhand.hub.names import Names

_NORM_LEAVES = {"weight": "gain", "gamma": "gain", "bias": "bias", "beta": "bias"}
_SHOWN = 6


def rename(weights: Mapping[str, Tensor], names: Names) -> tuple[dict[str, Tensor], list[str]]:
    """The weights under our names, transposed and cut apart where ours are, and the names the table lacks.

    Raises:
        ValueError: when a fused weight cannot be cut into equal parts.

    >>> from byhand.hub import GPT2
    >>> ours, unknown = rename({"h.3.mlp.c_fc.weight": torch.zeros(2, 8), "h.3.rotor": torch.zeros(1)}, GPT2)
    >>> {name: tuple(weight.shape) for name, weight in ours.items()}, unknown
    ({'blocks.3.feed_forward.up.weight': (8, 2)}, ['h.3.rotor'])
    """
    patterns = [
        (re.compile(re.escape(hub).replace(r"\*", r"(\d+)")), own, leaves)
        for table, leaves in ((names.modules, {"weight": "weight", "bias": "bias"}), (names.norms, _NORM_LEAVES))
        for hub, own in table.items()
    ]
    renamed: dict[str, Tensor] = {}
    unknown = []
    for name, stored in weights.items():
        bare = name
        for prefix in names.prefixes:
            bare = bare.removeprefix(prefix)
        if any(re.fullmatch(pattern, bare) for pattern in names.ignored):
            continue
        weight = stored.T if bare.endswith(names.transposed) else stored
        module, _, leaf = bare.rpartition(".")
        for pattern, own, leaves in patterns:
            found = pattern.fullmatch(module)
            if found and leaf in leaves:
                owns = (own,) if isinstance(own, str) else own
                if len(owns) > 1 and weight.shape[0] % len(owns):
                    raise ValueError(f"{name} fuses {len(owns)} weights, but its shape is {tuple(stored.shape)}")
                parts = (weight,) if len(owns) == 1 else weight.chunk(len(owns))
                for part, into in zip(parts, owns, strict=True):
                    layer = into.replace("*", found[1]) if "*" in into else into
                    renamed[f"{layer}.{leaves[leaf]}"] = part
                break
        else:
            unknown.append(name)
    return renamed, unknown


def load_renamed(
    model: nn.Module, weights: Mapping[str, Tensor], names: Names, *, leave_out: Iterable[str] = ()
) -> None:
    """Copy a checkpoint's weights into `model`, every one in its place, or change nothing and say what is wrong.

    A weight that two modules share needs to be stored once. The model keeps its dtype and device.

    Args:
        model: receives the weights.
        weights: the checkpoint, by the hub's names.
        names: what those names are here.
        leave_out: beginnings of our names that the checkpoint may hold though the model has no such part.

    Raises:
        ValueError: when a weight is missing, extra, or of another shape; names them and the remedy.
    """
    renamed, unknown = rename(weights, names)
    places = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    stored_buffers = model.state_dict().keys()  # without those that a model computes itself
    places = {name: place for name, place in places.items() if name in stored_buffers}
    given = {name: weight for name, weight in renamed.items() if name in places}
    filled = {id(places[name]) for name in given}
    dropped = tuple(leave_out)
    extra = [*unknown, *(name for name in renamed if name not in places and not name.startswith(dropped))]
    missing = [name for name, place in places.items() if id(place) not in filled]
    shapes = [
        f"{name} is {tuple(weight.shape)}, the model needs {tuple(places[name].shape)}"
        for name, weight in given.items()
        if weight.shape != places[name].shape
    ]
    problems = [
        f"{label}: {_listed(found)}"
        for label, found in (
            ("the checkpoint lacks", missing),
            ("the model has no place for", extra),
            ("wrong shape", shapes),
            ("shared in the model but different in the checkpoint", [] if shapes else _split_ties(given, places)),
        )
        if found
    ]
    if problems:
        raise ValueError(
            f"these weights are not a {type(model).__name__}'s of this config. {'. '.join(problems)}. "
            "Build the model from the config.json beside the weights, or download them again if they are incomplete."
        )
    with torch.no_grad():
        for name, weight in given.items():
            places[name].copy_(weight)


def _split_ties(given: Mapping[str, Tensor], places: Mapping[str, Tensor]) -> list[str]:
    """Names of weights that are one tensor in the model and come with different values."""
    first: dict[int, str] = {}
    split = []
    for name, weight in given.items():
        other = first.setdefault(id(places[name]), name)
        if other != name and not torch.equal(given[other], weight):
            split.append(f"{other} and {name}")
    return split


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
