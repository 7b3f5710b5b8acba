"""A picture as a sequence: cut into square patches, row by row. Leaves out colour. Built in chapter 16."""

import torch
from jaxtyping import Shaped
from torch import Tensor


def patchify(images: Shaped[Tensor, "batch height width"], size: int) -> Shaped[Tensor, "batch patches values"]:
    """Cut each picture into size x size patches, from left to right and then downwards, each flattened by rows.

    Dosovitskiy et al. 2021, section 3.1.

    Raises:
        ValueError: when a side is no multiple of `size`: no edge is dropped in silence.

    >>> patchify(torch.arange(8).view(1, 2, 4), size=2).tolist()
    [[[0, 1, 4, 5], [2, 3, 6, 7]]]
    """
    batch, height, width = images.shape
    if size < 1 or height % size or width % size:
        raise ValueError(f"pictures of {height} x {width} cannot be cut into patches of {size} x {size}: pad or resize")
    rows = images.reshape(batch, height // size, size, width // size, size)
    return rows.transpose(2, 3).reshape(batch, -1, size * size)


def unpatchify(
    patches: Shaped[Tensor, "batch patches values"], height: int, width: int
) -> Shaped[Tensor, "batch height width"]:
    """The pictures that `patchify` cut.

    Raises:
        ValueError: when patches of that number and size do not make such a picture.

    >>> picture = torch.arange(24).view(1, 4, 6)
    >>> bool((unpatchify(patchify(picture, 2), 4, 6) == picture).all())
    True
    """
    batch, count, values = patches.shape
    size = round(values**0.5)
    if size * size != values or height % size or width % size or count * values != height * width:
        raise ValueError(f"{count} patches of {values} values make no picture of {height} x {width}")
    rows = patches.reshape(batch, height // size, width // size, size, size)
    return torch.reshape(rows.transpose(2, 3), (batch, height, width))
