"""Old examples among the new ones: the plainest means against forgetting. Built in chapter 6."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

Example = TypeVar("Example")


def rehearsal(
    new: Sequence[Example], old: Sequence[Example], ratio: float, batch: int, rng: random.Random
) -> list[list[Example]]:
    """An epoch of batches over the new examples in which old ones are a share of `ratio`, all of it shuffled.

    Every new example comes once. Old ones are drawn without repetition as long as there are any, then anew. Their
    number is the share's, to the nearest integer. Robins 1995.

    Args:
        new: examples of the new task.
        old: of the task that shall not be forgotten.
        ratio: old examples over all, 0 up to 1.
        batch: examples in a batch; the last may have fewer.
        rng: shuffles and draws.

    Raises:
        ValueError: when the ratio is outside [0, 1), there is nothing new, or nothing old where some is needed.

    >>> [len(each) for each in rehearsal(list("abcdef"), list("XYZ"), 0.25, batch=3, rng=random.Random(0))]
    [3, 3, 2]
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio must be at least 0 and below 1, got {ratio}: it is the share of old examples")
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    if not new:
        raise ValueError("there is no new example")
    wanted = round(len(new) * ratio / (1 - ratio))
    if wanted and not old:
        raise ValueError(f"a ratio of {ratio} needs old examples, and there are none")
    endless = _epochs(old, rng)
    mixed = [*new, *(next(endless) for _ in range(wanted))]
    rng.shuffle(mixed)
    return [mixed[start : start + batch] for start in range(0, len(mixed), batch)]


def _epochs(examples: Sequence[Example], rng: random.Random) -> Iterator[Example]:
    while True:
        yield from rng.sample(list(examples), len(examples))
