"""A model's weights as packed codes: what they are, how many bytes they take, and a file of them.

Holds the packing of every matrix of a model, embeddings too, in groups with fp16 scales. Leaves out layers that
multiply codes (`byhand.quantization.models`): loading gives numbers back. Built in chapter 14.
"""

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from byhand.quantization.bits import pack_bits, packed_length, unpack_bits
from byhand.quantization.grids import check_bits, check_group_size, dequantize, group_ends, round_to_grid
from byhand.quantization.int4 import stored_grid
from byhand.training.saving import write_whole

META = torch.float16
PARTS = ("codes", "scale", "zero")


def quantized_tensors(model: nn.Module, bits: int, group_size: int) -> dict[str, Tensor]:
    """Everything a model must store, its matrices as `NAME.codes`, `NAME.scale` and `NAME.zero`.

    A parameter of two or more axes is packed row by row, with an fp16 scale and zero for each group; biases, gains
    and buffers are as they are. Parameters that are tied are there once.

    Raises:
        ValueError: as `quantize_groups`, and when a weight is too large for fp16.
    """
    tensors = {}
    for name, tensor in _stored(model).items():
        if not _is_packed(tensor):
            tensors[name] = tensor.detach().clone().contiguous()
            continue
        rows = tensor.detach().flatten(1)
        low, high = group_ends(rows, group_size)
        scale, zero = stored_grid(low, high, bits, META)
        codes = round_to_grid(rows, scale.to(low.dtype), zero.to(low.dtype), bits, group_size)
        for part, value in zip(PARTS, (pack_bits(codes, bits), scale, zero), strict=True):
            tensors[f"{name}.{part}"] = value
    return tensors


def quantized_bytes(model: nn.Module, bits: int, group_size: int) -> int:
    """How many bytes `quantized_tensors` takes, without making them: codes, scales, zeros, and all that is not packed.

    Raises:
        ValueError: when `bits` is not 1 to 8 or `group_size` is below 1.

    >>> layer = nn.Linear(64, 10)
    >>> codes, meta, bias = 10 * 64 // 2, 10 * 2 * (2 + 2), 10 * 4
    >>> quantized_bytes(layer, bits=4, group_size=32) == codes + meta + bias
    True
    """
    check_bits(bits)
    check_group_size(group_size)
    total = 0
    for tensor in _stored(model).values():
        if _is_packed(tensor):
            rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
            groups = -(-columns // group_size)
            total += rows * (packed_length(columns, bits) + 2 * groups * META.itemsize)
        else:
            total += tensor.numel() * tensor.element_size()
    return total


def save_quantized(path: str | Path, model: nn.Module, bits: int, group_size: int) -> None:
    """Write `quantized_tensors` as a safetensors file, whole or not at all.

    Raises:
        ValueError: as `quantized_tensors`.
    """
    from safetensors.torch import save_file

    settings = {"quantization": json.dumps({"bits": bits, "group_size": group_size})}
    tensors = quantized_tensors(model, bits, group_size)
    write_whole(Path(path), lambda beside: save_file(tensors, beside, settings))


def load_quantized(path: str | Path, model: nn.Module) -> None:
    """Dequantize what `save_quantized` wrote into a model of the same sizes, or change nothing and say what is wrong.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is damaged or another kind, or weights are missing, extra or of other sizes.
    """
    tensors, bits, group_size = _read(Path(path))
    places = _stored(model)
    needed = {f"{name}.{part}" for name, place in places.items() if _is_packed(place) for part in PARTS}
    needed |= {name for name, place in places.items() if not _is_packed(place)}
    if needed != tensors.keys():
        missing, extra = sorted(needed - tensors.keys()), sorted(tensors.keys() - needed)
        raise ValueError(
            f"{path} holds another model: missing {', '.join(missing[:3]) or 'nothing'}, extra "
            f"{', '.join(extra[:3]) or 'nothing'}; build the model that was saved"
        )
    loaded = {}
    for name, place in places.items():
        if _is_packed(place):
            codes, scale, zero = (tensors[f"{name}.{part}"] for part in PARTS)
            shape = (place.shape[0], math.prod(place.shape[1:]))
            try:
                codes = unpack_bits(codes, bits, shape[1])
                loaded[name] = dequantize(codes, scale.float(), zero.float(), group_size).view(place.shape)
            except (ValueError, RuntimeError) as error:
                raise ValueError(f"{name} in {path} is not {shape[0]} rows of {shape[1]} codes: {error}") from error
        else:
            loaded[name] = tensors[name]
            if loaded[name].shape != place.shape:
                raise ValueError(f"{name} in {path} has shape {tuple(loaded[name].shape)}, not {tuple(place.shape)}")
    with torch.no_grad():
        for name, place in places.items():
            place.copy_(loaded[name])


def _stored(model: nn.Module) -> dict[str, Tensor]:
    """Parameters, each once, and the buffers that a state dict has."""
    every = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: tensor for name, tensor in model.state_dict().items() if name not in every}
    return {**dict(model.named_parameters()), **buffers}


def _is_packed(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) and tensor.ndim > 1


def _read(path: Path) -> tuple[dict[str, Tensor], int, int]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            settings = json.loads((file.metadata() or {})["quantization"])
        return tensors, settings["bits"], settings["group_size"]
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): save it again") from error
    except KeyError as error:
        raise ValueError(f"{path} has no quantization settings: it was not written by save_quantized") from error
