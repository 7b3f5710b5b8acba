"""From documents to batches: chunks of one long stream, whole documents packed into rows, and who may draw what.

Holds the cutting of documents for causal pre-training and three sources of batches that draw the same batch for
the same step, so that a training run can be resumed. Leaves out corruption of the text for other objectives
(chapter 5) and the layout of instructions and answers (chapter 11). Built in chapter 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

IGNORED = -100
"""The target of a place that is not scored, as in `torch.nn.functional.cross_entropy`."""


def chunk(docs: Sequence[Sequence[int]], eos: int, seq: int) -> Int[Tensor, "chunks {seq}+1"]:
    """Join documents into one stream, `eos` between them, and cut it into rows of seq + 1 tokens.

    Row i holds `seq` inputs and, one to the right, their targets; the next row starts on the last token of the
    row before, so that every token but the first is a target once. What is left at the end is dropped. A row
    may begin in the middle of a document and span several: the context window does not care (Brown et al. 2020,
    appendix B).

    Raises:
        ValueError: when `seq` is below 1.

    >>> chunk([[1, 2, 3], [4, 5]], eos=0, seq=2)
    tensor([[1, 2, 3],
            [3, 0, 4]])
    """
    if seq < 1:
        raise ValueError(f"seq must be at least 1, got {seq}: it is the number of inputs in a row")
    stream = torch.tensor([*chain.from_iterable((eos, *doc) for doc in docs)][1:], dtype=torch.long)
    if len(stream) < seq + 1:
        return stream.new_empty(0, seq + 1)
    return stream.unfold(0, seq + 1, seq).clone()


def get_batch(
    ids: Int[Tensor, " stream"], batch: int, seq: int, rng: torch.Generator | None = None
) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"]]:
    """Draw windows of a stream uniformly, with replacement: inputs, and the tokens that follow each.

    Every start 0 ... len(ids) - seq - 1 is as likely, the last one included.

    Args:
        ids: the stream, on any device.
        batch: windows.
        seq: tokens in a window.
        rng: a CPU generator of torch, whose state moves on; None takes torch's global one.

    Raises:
        ValueError: when the stream has no seq + 1 tokens, or `batch` or `seq` is below 1.

    >>> x, y = get_batch(torch.arange(4), batch=1, seq=3, rng=torch.Generator().manual_seed(0))
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2]], [[1, 2, 3]])
    """
    if batch < 1 or seq < 1:
        raise ValueError(f"batch and seq must be at least 1, got batch={batch}, seq={seq}")
    if len(ids) < seq + 1:
        raise ValueError(
            f"a window of {seq} inputs and their targets needs {seq + 1} tokens, the stream has {len(ids)}: "
            "take a shorter seq or more text"
        )
    starts = torch.randint(len(ids) - seq, (batch,), generator=rng)
    windows = ids.unfold(0, seq + 1, 1)[starts.to(ids.device)].long()  # (batch, seq + 1)
    return windows[:, :-1], windows[:, 1:]


@dataclass(frozen=True)
class Packed:
    """Whole documents side by side in rows of equal length.

    Attributes:
        input_ids: the tokens; 0 where a row has none left.
        targets: the next token of the same document; IGNORED where there is none.
        documents: which document of its row a token belongs to, counted from 0; -1 for padding.
        positions: places counted from the beginning of each document.
    """

    input_ids: Int[Tensor, "rows seq"]
    targets: Int[Tensor, "rows seq"]
    documents: Int[Tensor, "rows seq"]
    positions: Int[Tensor, "rows seq"]


def pack(docs: Sequence[Sequence[int]], seq: int) -> Packed:
    """Put whole documents into as few rows of `seq` tokens as best fit, longest first, manages.

    No document is cut, and none predicts the first token of its neighbour. With `document_mask(documents)` and
    `positions` the model gives each the logits it would have alone (Krell et al. 2021).

    Raises:
        ValueError: when a document is empty or has more than `seq` tokens.

    >>> packed = pack([[1, 2], [3, 4, 5]], seq=6)
    >>> packed.input_ids.tolist(), packed.targets.tolist()
    ([[3, 4, 5, 1, 2, 0]], [[4, 5, -100, 2, -100, -100]])
    """
    rows: list[list[Sequence[int]]] = []
    room: list[int] = []
    for number, doc in sorted(enumerate(docs), key=lambda pair: -len(pair[1])):
        if not 0 < len(doc) <= seq:
            raise ValueError(
                f"document {number} has {len(doc)} tokens, but a row holds 1 to {seq}: leave it out, or cut it first"
            )
        fitting = [row for row in range(len(rows)) if room[row] >= len(doc)]
        if not fitting:
            rows.append([])
            room.append(seq)
        best = min(fitting, key=lambda row: room[row], default=len(rows) - 1)
        rows[best].append(doc)
        room[best] -= len(doc)

    def filled(parts: list[list[list[int]]], empty: int) -> Int[Tensor, "rows seq"]:
        lines = [list(chain.from_iterable(row)) for row in parts]
        return torch.tensor([line + [empty] * (seq - len(line)) for line in lines], dtype=torch.long).view(-1, seq)

    return Packed(
        filled([[list(doc) for doc in row] for row in rows], 0),
        filled([[[*doc[1:], IGNORED] for doc in row] for row in rows], IGNORED),
        filled([[[number] * len(doc) for number, doc in enumerate(row)] for row in rows], -1),
        filled([[list(range(len(doc))) for doc in row] for row in rows], 0),
    )


def document_mask(documents: Int[Tensor, "rows seq"]) -> Bool[Tensor, "rows seq seq"]:
    """Who may attend to whom in packed rows: tokens of the same document. Causality is left to the model.

    Padding attends to padding, so that no row of weights is empty.

    >>> document_mask(torch.tensor([[0, 0, 1]])).int()
    tensor([[[1, 1, 0],
             [1, 1, 0],
             [0, 0, 1]]], dtype=torch.int32)
    """
    return documents[:, :, None] == documents[:, None, :]


class Windows:
    """A source of batches: windows of a stream, drawn by `get_batch` from the step's own generator.

    >>> source = Windows(torch.arange(50), seq=4)
    >>> x, y = source(step=7, batch=2, rng=torch.Generator().manual_seed(7))
    >>> x.shape, bool((y == x + 1).all())
    (torch.Size([2, 4]), True)
    """

    def __init__(self, ids: Int[Tensor, " stream"], seq: int) -> None:
        self.ids = ids
        self.seq = seq

    def __call__(self, step: int, batch: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """The batch of a step: inputs and targets, each (batch, seq)."""
        return get_batch(self.ids, batch, self.seq, rng)


class Rows:
    """A source of batches: the rows of some tensors, in an order shuffled anew each epoch, none left out.

    Args:
        tensors: of equal length; a batch holds the same rows of each.
        seed: of the shuffles.

    Raises:
        ValueError: when there are no rows, or the lengths differ.

    >>> source = Rows(torch.arange(6) * 10, torch.arange(6))
    >>> sorted(row for step in range(3) for row in source(step, 2, torch.Generator())[1].tolist())
    [0, 1, 2, 3, 4, 5]
    """

    def __init__(self, *tensors: Shaped[Tensor, "_ ..."], seed: int = 0) -> None:
        lengths = {len(tensor) for tensor in tensors}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"need tensors of one length above 0, got lengths {[len(t) for t in tensors]}")
        self.tensors = tensors
        self.seed = seed
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __call__(self, step: int, batch: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """The batch of a step: `batch` rows of each tensor. It may reach over the end of an epoch."""
        count = len(self.tensors[0])
        places = range(step * batch, (step + 1) * batch)
        rows = torch.stack([self._shuffled(place // count)[place % count] for place in places])
        return tuple(tensor[rows.to(tensor.device)] for tensor in self.tensors)

    def _shuffled(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            order = torch.randperm(len(self.tensors[0]), generator=torch.Generator().manual_seed(self.seed + epoch))
            self._order = (epoch, order)
        return self._order[1]
