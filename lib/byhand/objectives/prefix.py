"""The prefix language model: read the prompt in both directions, write what follows from left to right.

Holds its mask. Leaves out the model: any decoder that takes a mask is one. Built in chapter 5.
"""

import torch
from jaxtyping import Bool
from torch import Tensor


def prefix_lm_mask(seq: int, prefix: int) -> Bool[Tensor, "seq seq"]:
    """Which place (row) may attend to which (column), True for yes.

    Every place sees the whole prefix; places after it also see themselves and what lies between. The prefix
    never sees what follows it. A prefix of 0 or 1 gives the causal mask, of `seq` the bidirectional one. Raffel et
    al. 2020, section 3.2.1 and figure 3.

    Raises:
        ValueError: when `prefix` is outside [0, seq].

    >>> prefix_lm_mask(4, 2).int()
    tensor([[1, 1, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    if not 0 <= prefix <= seq:
        raise ValueError(f"prefix must be between 0 and seq={seq}, got {prefix}")
    places = torch.arange(seq)
    return (places <= places.unsqueeze(1)) | (places < prefix)
