"""Spans: where they fall, what T5 makes of them, and the way back.

Holds the random spans of a given rate and mean length, span corruption with sentinels, and its inverse. Leaves
out spans that follow words or entities. Built in chapter 5.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def span_mask(seq: int, p: float, mean_len: float, rng: torch.Generator, longest: int = 10) -> Bool[Tensor, " seq"]:
    """A mask over `seq` places, True for about `p` of them, in spans of `mean_len` on average.

    The number of True places is `p * seq` rounded up or down at random, so that its mean is exact. Lengths are
    geometric given their sum (a random way of cutting it up), clipped at `longest` where the rate leaves room for
    that many spans; spans neither overlap nor touch. They are laid out on a ring that is turned at random, so every
    place, the first and the last included, is equally likely to be masked; a span across the ends is cut in two.
    Joshi et al. 2020 (SpanBERT), section 3.1, with `p` 0.15 and `mean_len` 3.8; Raffel et al. 2020 (T5), section
    3.3.4, with 0.15 and 3. T5's own layout has no turn: there the first place is never masked and the last one always.

    Raises:
        ValueError: when `seq` is negative, `p` outside [0, 1] or `mean_len` outside [1, longest].

    >>> span_mask(12, 0.5, 3, torch.Generator().manual_seed(0)).int().tolist()
    [1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0]
    """
    check_rate(p)
    if seq < 0:
        raise ValueError(f"seq must be 0 or more, got {seq}")
    if not 1 <= mean_len <= longest:
        raise ValueError(f"mean_len must be between 1 and longest={longest}, got {mean_len}; change one of them")
    masked = _round_at_random(p * seq, rng)
    free = seq - masked
    if masked == 0 or free == 0:
        return torch.full((seq,), masked > 0)
    n_spans = min(max(_round_at_random(masked / mean_len, rng), 1), masked, free)
    lengths = _clip(_cut_up(masked, n_spans, rng), longest, rng)
    gaps = _cut_up(free, n_spans, rng)
    turns = torch.stack([lengths, gaps], 1).flatten()
    ring = torch.tensor([True, False]).repeat(n_spans).repeat_interleave(turns)
    return ring.roll(_below(seq, rng))


def span_corrupt(
    ids: Int[Tensor, " seq"], mask: Bool[Tensor, " seq"], sentinel0: int, eos: int
) -> tuple[Int[Tensor, " inputs"], Int[Tensor, " targets"]]:
    """What T5 reads and what it has to write: each masked span becomes one sentinel.

    Sentinels count *down* from `sentinel0`, as T5's do (<extra_id_0> has the highest id). The targets are each
    span after its sentinel, then one more sentinel, which says that nothing follows. Both end with `eos`.
    Raffel et al. 2020, section 3.1.4 and figure 2.

    Raises:
        ValueError: when there are more spans than sentinels, or a sentinel's id occurs in the text.

    >>> ids = torch.arange(11, 21)  # Thank you for inviting me to your party last week
    >>> mask = torch.zeros(10, dtype=torch.bool)
    >>> mask[[2, 3, 8]] = True  # "for inviting" and "last"
    >>> inputs, targets = span_corrupt(ids, mask, sentinel0=99, eos=1)
    >>> inputs
    tensor([11, 12, 99, 15, 16, 17, 18, 98, 20,  1])
    >>> targets
    tensor([99, 13, 14, 98, 19, 97,  1])
    """
    text, masked = ids.tolist(), mask.tolist()
    inputs: list[int] = []
    targets: list[int] = []
    sentinel = sentinel0
    for place, token in enumerate(text):
        if masked[place] and not (place and masked[place - 1]):
            inputs.append(sentinel)
            targets.append(sentinel)
            sentinel -= 1
        (targets if masked[place] else inputs).append(token)
    if sentinel < 0:
        spans = sentinel0 - sentinel
        raise ValueError(
            f"{spans} spans and the end need {spans + 1} sentinels, but from {sentinel0} down there are "
            f"{sentinel0 + 1}; mask fewer or longer spans"
        )
    used = sorted({i for i in (*text, eos) if sentinel <= i <= sentinel0})
    if used:
        raise ValueError(
            f"ids {used} are sentinels (from {sentinel0} down to {sentinel}) and stand in the text or for "
            "its end; give the sentinels ids of their own"
        )
    ends = [*inputs, eos], [*targets, sentinel, eos]
    return ids.new_tensor(ends[0]), ids.new_tensor(ends[1])


def restore_spans(
    inputs: Int[Tensor, " inputs"], targets: Int[Tensor, " targets"], sentinel0: int, eos: int
) -> Int[Tensor, " seq"]:
    """The text that `span_corrupt` took apart, without its `eos`.

    Raises:
        ValueError: when an `eos` is missing or the sentinels do not come in order, in both.

    >>> restore_spans(torch.tensor([5, 9, 6, 1]), torch.tensor([9, 7, 7, 8, 1]), sentinel0=9, eos=1)
    tensor([5, 7, 7, 6])
    """
    for name, part in (("inputs", inputs), ("targets", targets)):
        if not len(part) or part[-1] != eos:
            raise ValueError(f"{name} must end with eos={eos}, got {part[-3:].tolist()} at the end; was it cut short?")
    spans: list[list[int]] = []
    for token in targets[:-1].tolist():
        if token == sentinel0 - len(spans):
            spans.append([])
        elif spans:
            spans[-1].append(token)
        else:
            raise ValueError(f"targets must start with sentinel {sentinel0}, got {token}")
    if not spans or spans.pop():
        raise ValueError(f"targets must end with a sentinel that nothing follows, got {targets[-3:].tolist()}")
    text: list[int] = []
    filled = 0
    for token in inputs[:-1].tolist():
        if token != sentinel0 - filled:
            text.append(token)
        elif filled < len(spans):
            text += spans[filled]
            filled += 1
        else:
            raise ValueError(f"inputs hold sentinel {token}, but targets fill {len(spans)} spans only")
    if filled < len(spans):
        raise ValueError(f"targets fill {len(spans)} spans, but inputs hold {filled} sentinels in order")
    return inputs.new_tensor(text)


def check_rate(p: float) -> None:
    """Refuse a share that is none.

    Raises:
        ValueError: when `p` is outside [0, 1] or not a number.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p must be between 0 and 1, got {p}; 15 % is 0.15")


def _below(count: int, rng: torch.Generator) -> int:
    return int(torch.randint(count, (1,), generator=rng, device=rng.device))


def _round_at_random(value: float, rng: torch.Generator) -> int:
    """Down or up, so that the mean is `value`."""
    return int(value + float(torch.rand(1, generator=rng, device=rng.device, dtype=torch.float64)))


def _cut_up(total: int, parts: int, rng: torch.Generator) -> Int[Tensor, " parts"]:
    """`total` as a sum of `parts` numbers of at least 1; every such sum is equally likely."""
    cuts = torch.randperm(total - 1, generator=rng, device=rng.device).cpu()[: parts - 1].sort().values + 1
    return torch.cat([cuts.new_tensor([0]), cuts, cuts.new_tensor([total])]).diff()


def _clip(lengths: Int[Tensor, " spans"], longest: int, rng: torch.Generator) -> Int[Tensor, " spans"]:
    """Move tokens from spans that are too long to shorter ones, as long as there are any."""
    lengths = lengths.clone()
    while int(lengths.max()) > longest > int(lengths.min()):
        lengths[lengths.argmax()] -= 1
        shorter = (lengths < longest).nonzero().flatten()
        lengths[shorter[_below(len(shorter), rng)]] += 1
    return lengths
