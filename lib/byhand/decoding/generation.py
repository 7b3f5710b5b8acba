"""The loop that writes: ask the model, pick a token, append it, until every row has ended.

Holds `generate` and `stream` for any model that can be asked for the next token's logits, prompts of different
lengths, and the context window. The whole sequence is given to the model at every step: leaves out the cache
that saves that (chapter 13), beams (`byhand.decoding.beam`) and turning tokens into text
(`byhand.decoding.streaming`). Built in chapter 8.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from byhand.decoding.processors import Processor, chain
from byhand.decoding.sampling import greedy

Step = Callable[..., Float[Tensor, "batch vocab"]]
"""From ids (batch, seq), and the attention mask of the same shape where one is used, to the next token's logits."""
Pick = Callable[[Float[Tensor, "batch vocab"]], Int[Tensor, " batch"]]
Stop = Callable[[Int[Tensor, "batch seq"]], Bool[Tensor, " batch"]]


def generate(
    step: Step,
    prefix: Int[Tensor, "batch seq"],
    max_new: int,
    pick: Pick = greedy,
    eos: int | None = None,
    pad: int = 0,
    *,
    max_seq: int | None = None,
    attention_mask: Bool[Tensor, "batch seq"] | None = None,
    processors: Sequence[Processor] = (),
    stop: Stop | None = None,
) -> Int[Tensor, "batch seq_new"]:
    """Continue each row of `prefix` by at most `max_new` tokens, and return prefix and continuation.

    A row ends with its own `eos`, which is kept, and is filled up with `pad`; the loop ends as soon as all rows
    have. An `eos` in the prefix ends nothing. The model is called once for each new token, without gradients.

    Args:
        step: gives the logits (batch, vocab) of the token after the ids (batch, seq) that it is called with.
        pick: from logits to one token a row: `greedy`, or a `Sampler`.
        eos: the token that ends a row; None: only `stop` and `max_new` do.
        max_seq: the model's context; of longer sequences it sees the last so many tokens. None: no limit.
        attention_mask: True at the prefix' real tokens, as `pad_left` gives it. Where it is given, `step` is
            called with ids and mask.
        processors: applied to the logits in this order, with all the ids so far, before a token is picked.
        stop: called with all the ids so far after each token; where it says True the row ends.

    Raises:
        ValueError: when the prefix is empty, `max_new` is negative, `max_seq` is below 1, a mask's row ends in
            padding, or `step` returns anything but one row of logits for each row of ids.

    >>> count_up = lambda ids: torch.nn.functional.one_hot((ids[:, -1] + 1) % 6, 6).float()
    >>> generate(count_up, torch.tensor([[0], [3]]), max_new=9, eos=5, pad=0)
    tensor([[0, 1, 2, 3, 4, 5],
            [3, 4, 5, 0, 0, 0]])
    """
    tokens = stream(
        step,
        prefix,
        max_new,
        pick,
        eos,
        pad,
        max_seq=max_seq,
        attention_mask=attention_mask,
        processors=processors,
        stop=stop,
    )
    return torch.cat([prefix, *(column.unsqueeze(-1) for column in tokens)], dim=-1)


def stream(
    step: Step,
    prefix: Int[Tensor, "batch seq"],
    max_new: int,
    pick: Pick = greedy,
    eos: int | None = None,
    pad: int = 0,
    *,
    max_seq: int | None = None,
    attention_mask: Bool[Tensor, "batch seq"] | None = None,
    processors: Sequence[Processor] = (),
    stop: Stop | None = None,
) -> Iterator[Int[Tensor, " batch"]]:
    """What `generate` appends, token by token as it comes: one id for each row, `pad` for those that have ended.

    The arguments are those of `generate`, and are checked at once. The model is asked for a token only when the
    token is asked for, so leaving the loop stops the work.

    Raises:
        ValueError: as there.
    """
    require_prefix(prefix, attention_mask)
    if max_new < 0:
        raise ValueError(f"max_new must be 0 or more, got {max_new}")
    if max_seq is not None and max_seq < 1:
        raise ValueError(f"max_seq must be at least 1, got {max_seq}; None sets no limit")
    return _stream(step, prefix, max_new, pick, eos, pad, max_seq, attention_mask, chain(processors), stop)


def _stream(
    step: Step,
    prefix: Int[Tensor, "batch seq"],
    max_new: int,
    pick: Pick,
    eos: int | None,
    pad: int,
    max_seq: int | None,
    attention_mask: Bool[Tensor, "batch seq"] | None,
    processor: Processor,
    stop: Stop | None,
) -> Iterator[Int[Tensor, " batch"]]:
    batch, start = prefix.shape
    ids = torch.cat([prefix, prefix.new_full((batch, max_new), pad)], dim=-1)
    mask = None
    if attention_mask is not None:
        mask = torch.cat([attention_mask, attention_mask.new_ones(batch, max_new)], dim=-1)
    done = torch.zeros(batch, dtype=torch.bool, device=prefix.device)
    for end in range(start, start + max_new):
        if bool(done.all()):
            return
        window = slice(0 if max_seq is None else max(0, end - max_seq), end)
        inputs = (ids[:, window],) if mask is None else (ids[:, window], mask[:, window])
        with torch.no_grad():
            logits = processor(ids[:, :end], require_logits(step(*inputs), batch))
            tokens = pick(logits).to(ids).masked_fill(done, pad)
        ids[:, end] = tokens
        yield tokens
        if eos is not None:
            done = done | (tokens == eos)
        if stop is not None:
            done = done | stop(ids[:, : end + 1])


def require_prefix(prefix: Int[Tensor, "*batch seq"], attention_mask: Bool[Tensor, "*batch seq"] | None = None) -> None:
    """Refuse prompts that nothing can be appended to.

    Raises:
        ValueError: when they are empty, or padded on the right.
    """
    if prefix.shape[-1] == 0:
        raise ValueError("the prefix is empty, and a model needs a token to start from: begin it with one for BOS")
    if attention_mask is not None and not bool(attention_mask[..., -1].all()):
        row = int((~attention_mask[..., -1]).nonzero()[0])
        raise ValueError(f"row {row} of the attention mask ends in padding: pad prompts on the left (pad_left)")


def require_logits(logits: Tensor, batch: int) -> Float[Tensor, "batch vocab"]:
    """The logits themselves, when they are one row for each row of ids.

    Raises:
        ValueError: when they are not.
    """
    if logits.ndim != 2 or logits.shape[0] != batch or not logits.is_floating_point():
        raise ValueError(
            f"step returned {logits.dtype} of shape {tuple(logits.shape)}, but must return floating-point logits of "
            f"shape ({batch}, vocab): those of the last position only"
        )
    return logits


def last_position(model: Callable[..., Float[Tensor, "batch seq vocab"]]) -> Step:
    """A step from a model that gives logits for every position, such as `byhand.gpt.GPT`.

    Where a mask is used the model is called with `attention_mask` and `positions`: a row's first real token
    stands at position 0, however much padding precedes it. Switch dropout off (`model.eval()`) beforehand.
    """

    def step(
        ids: Int[Tensor, "batch seq"], attention_mask: Bool[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch vocab"]:
        if attention_mask is None:
            return model(ids)[:, -1]
        positions = (attention_mask.long().cumsum(dim=-1) - 1).clamp(min=0)
        return model(ids, attention_mask=attention_mask, positions=positions)[:, -1]

    return step


def pad_left(prompts: Sequence[Sequence[int]], pad: int) -> tuple[Int[Tensor, "batch seq"], Bool[Tensor, "batch seq"]]:
    """Prompts of different lengths as one tensor, padded on the left, and the mask that is True at real tokens.

    On the left, because the next token is appended on the right: it must follow the prompt's last token.

    Raises:
        ValueError: when there is no prompt, or one is empty.

    >>> pad_left([[5, 6], [7]], pad=0)
    (tensor([[5, 6],
            [0, 7]]), tensor([[ True,  True],
            [False,  True]]))
    """
    if not prompts:
        raise ValueError("there are no prompts to pad")
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    if not bool(lengths.all()):
        raise ValueError(f"prompt {lengths.tolist().index(0)} is empty: begin it with a token for BOS")
    longest = int(lengths.max())
    ids = torch.tensor([[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    return ids, torch.arange(longest) >= longest - lengths.unsqueeze(-1)
