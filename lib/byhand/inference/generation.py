"""Writing with an engine: chapter 8's loops, fed one new token at a time.

Holds `generate`, `stream` and `beam_search` over an `Engine`. The loops themselves, the ways of picking and the
processors are those of `byhand.decoding`. Leaves out a context that slides: what was read at a position keeps that
position, so a text longer than the cache must be cut and prefilled anew. Built in chapter 13.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from byhand import decoding
from byhand.decoding import EarlyStopping, Pick, Processor, Step, Stop, greedy
from byhand.inference.engine import Engine


def cached_step(engine: Engine) -> Step:
    """The engine as a step for the loops of `byhand.decoding`, which hand over all ids so far.

    The first call prefills them, every further one feeds the ids that came since.

    >>> from byhand.gpt import GPT, GPTConfig
    >>> from byhand.inference.engine import prepare
    >>> engine = prepare(GPT(GPTConfig.tiny(), torch.Generator().manual_seed(0)))
    >>> ids = decoding.generate(cached_step(engine), torch.tensor([[3, 1, 4]]), max_new=2)
    >>> ids.shape, engine.cache.length
    (torch.Size([1, 5]), 4)
    """
    begun = False

    def step(
        ids: Int[Tensor, "batch seq"], attention_mask: Bool[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch vocab"]:
        nonlocal begun
        if begun:
            return engine.decode(ids[:, engine.cache.length :])
        begun = True
        return engine.prefill(ids, attention_mask)

    return step


def generate(
    engine: Engine,
    prefix: Int[Tensor, "batch seq"],
    max_new: int,
    pick: Pick = greedy,
    eos: int | None = None,
    pad: int = 0,
    *,
    attention_mask: Bool[Tensor, "batch seq"] | None = None,
    processors: Sequence[Processor] = (),
    stop: Stop | None = None,
) -> Int[Tensor, "batch seq_new"]:
    """`byhand.decoding.generate` with a cache: the same tokens, without reading anything twice.

    The arguments are those of that function; prompts of different lengths come from `byhand.decoding.pad_left`.

    Raises:
        ValueError: as there, and when prefix and new tokens, or the rows, do not fit into the cache.
    """
    require_room(engine, prefix, max_new)
    with torch.inference_mode():
        written = decoding.generate(
            cached_step(engine),
            prefix,
            max_new,
            pick,
            eos,
            pad,
            attention_mask=attention_mask,
            processors=processors,
            stop=stop,
        )
    return written.clone()  # a tensor like any other: one of inference mode refuses to be changed


def stream(
    engine: Engine,
    prefix: Int[Tensor, "batch seq"],
    max_new: int,
    pick: Pick = greedy,
    eos: int | None = None,
    pad: int = 0,
    *,
    attention_mask: Bool[Tensor, "batch seq"] | None = None,
    processors: Sequence[Processor] = (),
    stop: Stop | None = None,
) -> Iterator[Int[Tensor, " batch"]]:
    """What `generate` appends, token by token as it comes: one id for each row. The engine is busy until the end.

    Raises:
        ValueError: as `generate`.
    """
    require_room(engine, prefix, max_new)
    return decoding.stream(
        cached_step(engine),
        prefix,
        max_new,
        pick,
        eos,
        pad,
        attention_mask=attention_mask,
        processors=processors,
        stop=stop,
    )


def beam_search(
    engine: Engine,
    prefix: Int[Tensor, "batch seq"],
    n_beams: int,
    max_new: int,
    eos: int | None = None,
    pad: int = 0,
    alpha: float = 1.0,
    *,
    early_stopping: EarlyStopping = False,
    attention_mask: Bool[Tensor, "batch seq"] | None = None,
    processors: Sequence[Processor] = (),
) -> tuple[Int[Tensor, "batch seq_new"], Float[Tensor, " batch"]]:
    """`byhand.decoding.beam_generate` with a cache whose rows follow the beams: the same rows and scores.

    Raises:
        ValueError: as there, and when the engine was not prepared for batch * n_beams rows or for so many tokens.
    """
    require_room(engine, prefix, max_new, beams=n_beams)
    with torch.inference_mode():
        written, scores = decoding.beam_generate(
            cached_step(engine),
            prefix,
            n_beams,
            max_new,
            eos,
            pad,
            alpha,
            early_stopping=early_stopping,
            attention_mask=attention_mask,
            processors=processors,
            reorder=engine.reorder,
        )
    return written.clone(), scores.clone()


def require_room(engine: Engine, prefix: Int[Tensor, "batch seq"], max_new: int, beams: int = 1) -> None:
    """Refuse before the first token what would not fit at the last. The last new token itself is never fed.

    Raises:
        ValueError: when the rows or the tokens do not fit.
    """
    batch, seq = prefix.shape
    cache = engine.cache
    if batch * beams > cache.max_batch:
        raise ValueError(
            f"{batch} prompts with {beams} beams each make {batch * beams} rows, the cache has room for "
            f"{cache.max_batch}: prepare the engine with batch={batch * beams}"
        )
    if seq + max_new - 1 > cache.capacity:
        raise ValueError(
            f"a prompt of {seq} tokens and {max_new} new ones do not fit into a cache of {cache.capacity}: cut the "
            f"prompt, ask for fewer, or prepare the engine with max_seq={seq + max_new - 1} if the model has so many "
            f"positions (it has {engine.config.max_seq})"
        )
