"""From one sequence to another: teacher forcing, which shows the decoder the right answer one step late.

Holds the shift and the loss, for any encoder-decoder. Leaves out the models (`byhand.t5`) and writing without a
teacher (chapter 8). Built in chapter 5.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byhand.packing import IGNORED
from byhand.probability import cross_entropy


def shift_right(targets: Int[Tensor, "batch seq"], bos: int, pad: int) -> Int[Tensor, "batch seq"]:
    """What the decoder reads in order to predict `targets`: `bos` first, then all of them but the last.

    Places to ignore (-100), which no embedding has, become `pad`.

    >>> shift_right(torch.tensor([[5, 6, 7], [8, -100, -100]]), bos=1, pad=0)
    tensor([[1, 5, 6],
            [1, 8, 0]])
    """
    shifted = torch.roll(targets, 1, dims=1)
    shifted[:, :1] = bos
    return shifted.masked_fill(shifted == IGNORED, pad)


def seq2seq_loss(
    model: Callable[[Tensor, Tensor, Tensor], Tensor],
    src: Int[Tensor, "sources src"],
    tgt: Int[Tensor, "targets tgt"],
    bos: int,
    pad: int,
) -> Float[Tensor, ""]:
    """The mean of -log P(target | source, the targets before it) over the targets that are not padding, in nats.

    Padding of the source is hidden from attention. Padding of the target needs no mask: it is on the right, where
    a causal decoder does not look, and it is not scored; that is why `bos` may be the same id, as in T5.
    Williams and Zipser 1989; Sutskever et al. 2014.

    Args:
        model: called with `src`, the decoder's input (batch, tgt) and `src != pad`; gives logits (batch, tgt, vocab),
            where those at place t depend on decoder inputs up to t only.
        src: padded with `pad`.
        tgt: padded with `pad` on the right; without `bos`.
        bos: what the decoder reads first.
        pad: the padding id, in both.

    Raises:
        ValueError: when the batches differ, or no target is left to predict.

    >>> uniform = lambda src, decoder_input_ids, attention_mask: torch.zeros(*decoder_input_ids.shape, 8)
    >>> loss = seq2seq_loss(uniform, torch.tensor([[5, 6]]), torch.tensor([[7, 3, 0]]), bos=1, pad=0)
    >>> round(loss.exp().item(), 4)
    8.0
    """
    if len(src) != len(tgt):
        raise ValueError(f"every source needs its target, got {len(src)} sources and {len(tgt)} targets")
    if not (tgt != pad).any():
        raise ValueError(f"all targets are padding ({pad}): there is nothing to predict")
    return cross_entropy(model(src, shift_right(tgt, bos, pad), src != pad), tgt, ignore_index=pad)
