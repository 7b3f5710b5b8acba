"""What judges compare answers with: closeness of numbers, and the mistake that a wrong number gives away."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from grader.hidden import Verdict, wrong


def close(answer: Any, expected: Any, rtol: float = 1e-9, atol: float = 1e-12) -> bool:
    """Same shape and same numbers; infinities must agree, nan never does.

    >>> close([1.0, 2.0], [1.0, 2.0 + 1e-12]), close([1.0], 1.0), close(float("nan"), float("nan"))
    (True, False, False)
    """
    got, want = np.asarray(answer, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    return got.shape == want.shape and bool(np.allclose(got, want, rtol=rtol, atol=atol))


def name_the_mistake(answer: Any, suspects: Iterable[tuple[Any, str]], otherwise: str, **tolerance: float) -> Verdict:
    """Refuse `answer` with the words of the first suspect that it equals, else with `otherwise`.

    >>> name_the_mistake(6.0, [(3.0, "a mean"), (6.0, "a sum; a mean was asked")], "not the mean").words
    'a sum; a mean was asked'
    """
    for value, words in suspects:
        if close(answer, value, **tolerance):
            return wrong(words)
    return wrong(otherwise)
