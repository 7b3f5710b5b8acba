"""The objectives as padded batches: inputs, labels, then what else the model's `loss` takes.

Holds padding, one function per objective, and a source of batches for `byhand.training`. Every batch starts with
(input_ids, labels), labels being -100 where nothing is to be predicted. Leaves out sorting by length. Built in
chapter 5.
"""

import random
from collections.abc import Callable, Sequence, Set
from typing import Generic, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from byhand.objectives.masking import mlm_corrupt, mlm_corrupt_spans
from byhand.objectives.prefix import prefix_lm_mask
from byhand.objectives.spans import span_corrupt, span_mask
from byhand.packing import IGNORED

Example = TypeVar("Example")


def pad_rows(rows: Sequence[Sequence[int]], value: int) -> tuple[Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"]]:
    """Fill rows on the right with `value` to the length of the longest; also says which places are real.

    Raises:
        ValueError: when there are no rows, or one is empty.

    >>> ids, attention_mask = pad_rows([[5, 6, 7], [8]], value=0)
    >>> ids
    tensor([[5, 6, 7],
            [8, 0, 0]])
    >>> attention_mask.int()
    tensor([[1, 1, 1],
            [1, 0, 0]], dtype=torch.int32)
    """
    lengths = [len(row) for row in rows]
    if not all(lengths) or not lengths:
        raise ValueError(f"a batch needs rows of at least one token, got lengths {lengths}; leave the empty ones out")
    longest = max(lengths)
    padded = torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])
    return padded, torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)


def mlm_batch(
    rows: Sequence[Sequence[int]],
    rng: torch.Generator,
    *,
    special: Set[int],
    mask_id: int,
    vocab_size: int,
    pad_id: int = 0,
    p: float = 0.15,
    mean_len: float | None = None,
) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"]]:
    """Masked language modelling: (input_ids, labels, attention_mask).

    Single tokens as in BERT, or with a `mean_len` whole spans as in SpanBERT. Padding counts as special.

    Raises:
        ValueError: as `pad_rows` and `mlm_corrupt` do.

    >>> rows = [[1, 11, 12, 13, 2], [1, 14, 2]]
    >>> batch = mlm_batch(rows, torch.Generator(), special={1, 2}, mask_id=3, vocab_size=20, p=1.0)
    >>> batch[1]
    tensor([[-100,   11,   12,   13, -100],
            [-100,   14, -100, -100, -100]])
    """
    input_ids, attention_mask = pad_rows(rows, pad_id)
    never = {*special, pad_id}
    if mean_len is None:
        spoiled, labels = mlm_corrupt(input_ids, p, never, mask_id, vocab_size, rng)
    else:
        spoiled, labels = mlm_corrupt_spans(input_ids, p, mean_len, never, mask_id, vocab_size, rng)
    return spoiled, labels, attention_mask


def nsp_batch(
    pairs: Sequence[tuple[Sequence[int], Sequence[int], bool]],
    rng: torch.Generator,
    *,
    special: Set[int],
    mask_id: int,
    vocab_size: int,
    pad_id: int = 0,
    p: float = 0.15,
) -> tuple[
    Int[Tensor, "batch seq"],
    Int[Tensor, "batch seq"],
    Bool[Tensor, "batch seq"],
    Int[Tensor, "batch seq"],
    Bool[Tensor, " batch"],
]:
    """BERT's two objectives on pairs of `nsp_pairs`: (input_ids, labels, attention_mask, segment_ids, is_next).

    Raises:
        ValueError: as `mlm_batch` does.

    >>> pairs = [([1, 11, 2, 12, 2], [0, 0, 0, 1, 1], True), ([1, 12, 2, 21, 22, 2], [0, 0, 0, 1, 1, 1], False)]
    >>> batch = nsp_batch(pairs, torch.Generator(), special={1, 2}, mask_id=3, vocab_size=30)
    >>> batch[3], batch[4]
    (tensor([[0, 0, 0, 1, 1, 0],
            [0, 0, 0, 1, 1, 1]]), tensor([ True, False]))
    """
    texts = [ids for ids, _, _ in pairs]
    masked = mlm_batch(texts, rng, special=special, mask_id=mask_id, vocab_size=vocab_size, pad_id=pad_id, p=p)
    segment_ids, _ = pad_rows([segments for _, segments, _ in pairs], 0)
    return *masked, segment_ids, torch.tensor([is_next for _, _, is_next in pairs])


def span_batch(
    rows: Sequence[Sequence[int]],
    rng: torch.Generator,
    *,
    sentinel0: int,
    eos: int,
    pad_id: int = 0,
    p: float = 0.15,
    mean_len: float = 3.0,
) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch targets"], Bool[Tensor, "batch seq"]]:
    """T5's span corruption: (input_ids, labels, attention_mask).

    Raises:
        ValueError: as `span_mask` and `span_corrupt` do.

    >>> inputs, labels, _ = span_batch([[11, 12, 13, 14]], torch.Generator(), sentinel0=99, eos=1, p=0.5)
    >>> len(inputs[0]) + len(labels[0])  # two tokens kept, two asked for, a sentinel for both, one to close, two ends
    9
    """
    pairs = [
        span_corrupt(torch.tensor(row), span_mask(len(row), p, mean_len, rng), sentinel0, eos)
        for row in map(list, rows)
    ]
    input_ids, attention_mask = pad_rows([inputs.tolist() for inputs, _ in pairs], pad_id)
    labels, _ = pad_rows([targets.tolist() for _, targets in pairs], IGNORED)
    return input_ids, labels, attention_mask


def denoising_batch(
    rows: Sequence[Sequence[int]],
    rng: torch.Generator,
    *,
    noise: Callable[[list[int], random.Random], list[int]],
    eos: int,
    pad_id: int = 0,
) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch targets"], Bool[Tensor, "batch seq"]]:
    """BART's objective, to write out what `noise` spoiled: (input_ids, labels, attention_mask), both ending with `eos`.

    Raises:
        ValueError: as the noise does.

    >>> rotate = lambda ids, rng: ids[1:] + ids[:1]
    >>> inputs, labels, _ = denoising_batch([[5, 6, 7]], torch.Generator(), noise=rotate, eos=2)
    >>> inputs, labels
    (tensor([[6, 7, 5, 2]]), tensor([[5, 6, 7, 2]]))
    """
    seed = int(torch.randint(2**62, (1,), generator=rng, device=rng.device))
    python_rng = random.Random(seed)
    input_ids, attention_mask = pad_rows([[*noise(list(row), python_rng), eos] for row in rows], pad_id)
    labels, _ = pad_rows([[*row, eos] for row in rows], IGNORED)
    return input_ids, labels, attention_mask


def prefix_batch(
    rows: Sequence[Sequence[int]], rng: torch.Generator, *, pad_id: int = 0
) -> tuple[Int[Tensor, "batch seq"], Int[Tensor, "batch seq"], Bool[Tensor, "batch seq seq"]]:
    """Prefix language modelling, each row split at random: (input_ids, labels, mask), the mask for attention.

    Only what follows the prefix is predicted; both parts have at least one token.

    Raises:
        ValueError: when a row has fewer than two tokens, or there is none.

    >>> input_ids, labels, mask = prefix_batch([[5, 6, 7, 8]], torch.Generator().manual_seed(0))
    >>> input_ids, labels
    (tensor([[5, 6, 7]]), tensor([[-100,    7,    8]]))
    >>> mask.int()
    tensor([[[1, 1, 0],
             [1, 1, 0],
             [1, 1, 1]]], dtype=torch.int32)
    """
    if short := [len(row) for row in rows if len(row) < 2]:
        raise ValueError(f"a prefix and what follows need two tokens, got rows of {short}; leave them out")
    input_ids, attention_mask = pad_rows([row[:-1] for row in rows], pad_id)
    labels, _ = pad_rows([row[1:] for row in rows], IGNORED)
    seq = input_ids.shape[1]
    room = attention_mask.sum(1)
    prefixes = (torch.rand(len(rows), generator=rng, device=rng.device).cpu() * room).long() + 1  # 1 ... len(row) - 1
    labels[torch.arange(seq) < prefixes.unsqueeze(1) - 1] = IGNORED
    masks = torch.stack([prefix_lm_mask(seq, int(prefix)) for prefix in prefixes])
    return input_ids, labels, masks & attention_mask.unsqueeze(1)


def summed_loss(model: nn.Module, *batch: Tensor) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
    """The model's own `loss` of a batch, times the labels that count, and their number: as `train` wants it.

    Pass it as `train(..., loss=summed_loss)` for any model whose `loss` takes these batches: `Bert`, `T5`.

    Args:
        model: has `loss(input_ids, labels, ...)`, a mean over the labels that are not -100.
        batch: from one of the functions above.
    """
    count = (batch[1] != IGNORED).sum()
    loss: Tensor = model.loss(*batch)  # type: ignore[operator]
    return loss * count, count


class Drawn(Generic[Example]):
    """A source of batches: rows drawn with replacement and made into a batch by one of the functions above.

    What it draws depends on the generator alone, so a run that is resumed sees the same masks.

    Args:
        examples: at least one.
        collate: from the drawn rows and the generator to a batch.

    Raises:
        ValueError: when there are no examples.

    >>> source = Drawn([[5, 6, 7], [8, 9]], lambda rows, rng: prefix_batch(rows, rng))
    >>> [tensor.shape for tensor in source(step=0, batch=4, rng=torch.Generator().manual_seed(0))]
    [torch.Size([4, 2]), torch.Size([4, 2]), torch.Size([4, 2, 2])]
    """

    def __init__(
        self,
        examples: Sequence[Example],
        collate: Callable[[Sequence[Example], torch.Generator], tuple[Tensor, ...]],
    ) -> None:
        if not examples:
            raise ValueError("a source of batches needs at least one example, got none")
        self.examples = examples
        self.collate = collate

    def __call__(self, step: int, batch: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        """The batch of a step, `batch` rows of it."""
        picked = torch.randint(len(self.examples), (batch,), generator=rng, device=rng.device)
        return self.collate([self.examples[place] for place in picked.tolist()], rng)
