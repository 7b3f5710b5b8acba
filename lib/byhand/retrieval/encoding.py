"""Sentence embeddings: a text as one vector of length 1, so that a dot product says how alike two texts are.

Holds the plain function and the encoder that makes it fast: sorted by length, batched by tokens, in bfloat16 where
asked for. Leaves out training such an encoder (chapter 6 has the contrastive loss). Built in chapter 10.
"""

import copy
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from tokenizers import Tokenizer
from torch import Tensor, nn

from byhand.encoder import load_minilm
from byhand.finetuning import mean_pool

LONGEST = 256
"""Tokens of a text that are read; all-MiniLM-L6-v2 was trained on no more."""


def unit_mean(
    states: Float[Tensor, "batch seq d_model"], attention_mask: Bool[Tensor, "batch seq"]
) -> Float[Tensor, "batch d_model"]:
    """The mean of each row's states over its real tokens, scaled to length 1. Reimers and Gurevych 2019, section 3.

    >>> unit_mean(torch.tensor([[[3.0, 0.0], [3.0, 8.0], [9.0, 9.0]]]), torch.tensor([[True, True, False]]))
    tensor([[0.6000, 0.8000]])
    """
    return nn.functional.normalize(mean_pool(states.float(), attention_mask), dim=-1)


def encode(texts: Sequence[str], tokenizer: Tokenizer, model: nn.Module, batch_size: int) -> Float[Tensor, "n d_model"]:
    """The embedding of each text, length 1, in the order of the texts.

    Texts are sorted by length, so that a batch holds little padding; the batch size changes the speed, not the
    result. The model's mode is restored.

    Args:
        texts: any number; none gives an empty tensor.
        tokenizer: adds the special tokens; its truncation holds, its padding is not used.
        model: from `input_ids` and `attention_mask` to states (batch, seq, d_model), such as `Encoder`.
        batch_size: texts in a batch.

    Raises:
        ValueError: when `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    encodings = tokenizer.encode_batch(list(texts))
    rows = [[i for i, real in zip(one.ids, one.attention_mask, strict=True) if real] for one in encodings]
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return _embed(model, rows, batches)


class SentenceEncoder:
    """Texts to embeddings of length 1, fast: what a search index and Auto-CoT call.

    Args:
        model: from `input_ids` and `attention_mask` to states (batch, seq, d_model), such as `Encoder`.
        tokenizer: of the `tokenizers` library; it is copied.
        longest: tokens of a text that are read, special tokens included.
        batch_tokens: tokens in a batch, padding included; batches of short texts hold more texts.
        bf16: whether to calculate in bfloat16, with a copy of the weights; about twice as fast where the processor
            has it, at a cosine of .9999 to the exact embedding.

    Raises:
        ValueError: when `longest` leaves no token but the special ones, or `batch_tokens` is below `longest`.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        *,
        longest: int = LONGEST,
        batch_tokens: int = 1024,
        bf16: bool = False,
    ) -> None:
        if longest < 3 or batch_tokens < longest:
            raise ValueError(f"need 3 <= longest <= batch_tokens, got longest={longest}, batch_tokens={batch_tokens}")
        # All of it, not under autocast: norms and sums then need no casts between them.
        self.model = copy.deepcopy(model).bfloat16() if bf16 else model
        self.tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(longest)
        self.batch_tokens = batch_tokens

    @classmethod
    def minilm(cls, *, bf16: bool = False) -> "SentenceEncoder":
        """all-MiniLM-L6-v2, 384 numbers a text, from the package that ships its weights."""
        return cls(*load_minilm(), bf16=bf16)

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "n d_model"]:
        """The embedding of each text, float32, in the order of the texts; the same whatever they are batched with.

        >>> sea, ocean, tax = SentenceEncoder.minilm()(["the sea", "an ocean", "income tax"])
        >>> bool(sea @ ocean > sea @ tax)
        True
        """
        rows = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        return _embed(self.model, rows, list(_batches_by_tokens(rows, self.batch_tokens)))


def _batches_by_tokens(rows: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[list[int]]:
    """The rows' numbers, shortest row first, in batches of at most so many tokens, padding included."""
    batch: list[int] = []
    for index in sorted(range(len(rows)), key=lambda index: len(rows[index])):
        if batch and len(rows[index]) * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@torch.no_grad()
def _embed(
    model: nn.Module, rows: Sequence[Sequence[int]], batches: Sequence[Sequence[int]]
) -> Float[Tensor, "n d_model"]:
    """The embedding of each row of ids, computed batch by batch, in the order of the rows."""
    device = next(model.parameters()).device
    vectors: list[Tensor] = []
    training = model.training
    model.eval()
    try:
        for batch in batches:
            ids, mask = _pad([rows[index] for index in batch])
            mask = mask.to(device)
            vectors.append(unit_mean(model(ids.to(device), mask), mask).cpu())
    finally:
        model.train(training)
    if not vectors:
        return torch.zeros(0, 0)
    found = torch.cat(vectors)
    order = torch.tensor([index for batch in batches for index in batch])
    return torch.empty_like(found).index_copy_(0, order, found)


def _pad(rows: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"]]:
    """Rows of ids as one batch, filled up with 0 on the right, and which places are real."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    return ids, torch.arange(ids.shape[1]) < lengths[:, None]
