"""From token ids to vectors, and what the vectors' directions say.

Holds the embedding as the matrix product that it is, analogies by vector arithmetic, and the check of ids that the
models share. The models themselves look rows up with `nn.Embedding`, which is the same product without the zeros.
Built in chapter 2.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def embed_onehot(
    input_ids: Int[Tensor, "batch seq"], weight: Float[Tensor, "d_model vocab"]
) -> Float[Tensor, "batch seq d_model"]:
    """The column of `weight` for each id, as the product of the matrix with one-hot vectors.

    So the gradient of a token's column is the sum over all the places where the token stands.

    Raises:
        ValueError: when an id is outside the vocabulary.

    >>> embed_onehot(torch.tensor([[2, 0]]), torch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[[3.0], [1.0]]]
    """
    vocab_size = weight.shape[1]
    check_ids(input_ids, vocab_size)
    onehot = (input_ids.unsqueeze(-1) == torch.arange(vocab_size, device=input_ids.device)).to(weight.dtype)
    return onehot @ weight.T  # (batch, seq, vocab) @ (vocab, d_model)


def analogy(
    embeddings: Float[Tensor, "vocab d_model"], a: int, b: int, c: int, k: int = 5, exclude: bool = True
) -> list[int]:
    """The k tokens that are to c as b is to a: those nearest to b - a + c by cosine, the nearest first.

    All vectors are brought to length 1 before the arithmetic. Without `exclude` the answer is often b or c
    itself. Ties go to the smaller id. Mikolov et al. 2013, "Linguistic Regularities", section 4.

    Args:
        embeddings: one row for each token.
        a: id of the word that the known pair starts from.
        b: id of the word that it leads to.
        c: id of the word that the unknown pair starts from.
        k: how many answers, fewer where the vocabulary has no more.
        exclude: whether a, b and c may not be answers.

    Raises:
        ValueError: when an id is outside the vocabulary or k is below 1.

    >>> table = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 1.0], [0.1, -1.0]])
    >>> analogy(table, a=0, b=1, c=2, k=1)
    [3]
    """
    check_ids(torch.tensor([a, b, c]), len(embeddings))
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    with torch.no_grad():
        # a zero row stays zero, and is at cosine 0 to everything
        directions = embeddings / embeddings.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(embeddings.dtype).tiny)
        closeness = directions @ (directions[b] - directions[a] + directions[c])  # cosine, up to one positive factor
        order: list[int] = closeness.argsort(descending=True, stable=True).tolist()
    return [token for token in order if not (exclude and token in (a, b, c))][:k]


def check_ids(input_ids: Tensor, vocab_size: int, max_seq: int | None = None) -> None:
    """Refuse ids that no row stands for, and sequences, along the last axis, that are empty or too long.

    On a GPU the ids are not looked at, since that would wait for the device; its own assertion stops a bad one.

    Raises:
        ValueError: when an id is outside 0 to vocab_size - 1, or a length outside 1 to max_seq.
    """
    seq = input_ids.shape[-1]
    if max_seq is not None and not 0 < seq <= max_seq:
        remedy = (
            "start it with a token for the beginning" if seq == 0 else "cut it, or build a model with more positions"
        )
        raise ValueError(f"a sequence has {seq} tokens, the model takes 1 to {max_seq}: {remedy}")
    if input_ids.device.type == "cpu" and input_ids.numel() and not torch.compiler.is_compiling():
        low, high = (int(end) for end in input_ids.aminmax())
        if low < 0 or high >= vocab_size:
            raise ValueError(
                f"ids run from {low} to {high}, the vocabulary from 0 to {vocab_size - 1}: "
                "was the text encoded by this model's tokenizer?"
            )
