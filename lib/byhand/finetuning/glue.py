"""The metrics of GLUE's tasks, each defined also where a class is missing. Wang et al. 2019, table 1.

Leaves out the average over tasks. Built in chapter 6.
"""

import math
from collections.abc import Sequence

METRICS = {
    "cola": "matthews",
    "sst2": "accuracy",
    "mrpc": "f1",
    "qqp": "f1",
    "stsb": "spearman",
    "mnli": "accuracy",
    "qnli": "accuracy",
    "rte": "accuracy",
    "wnli": "accuracy",
}
"""GLUE's tasks and the metric that is reported first for each."""


def glue_metric(task: str, predicted: Sequence[float], gold: Sequence[float]) -> float:
    """The task's metric of predictions against the truth.

    - accuracy: the share that is right.
    - f1: of class 1, not a mean over classes; 0 when there is nothing of it on either side.
    - matthews: the correlation of two labellings, any number of classes (Gorodkin 2004); 0 when either is constant.
    - spearman: the correlation of ranks, ties sharing their mean rank; 0 when either is constant.

    Args:
        task: a name in `METRICS`, or one of the four metrics.
        predicted: class numbers, or scores for spearman.
        gold: the truth.

    Raises:
        ValueError: when the task is unknown, or the two differ in length or are empty.

    >>> glue_metric("sst2", [1, 0, 1], [1, 1, 1])
    0.6666666666666666
    >>> glue_metric("mrpc", [1, 0, 1], [1, 1, 1])
    0.8
    >>> glue_metric("cola", [1, 1, 1], [1, 0, 1])
    0.0
    """
    metric = METRICS.get(task, task)
    if metric not in _FUNCTIONS:
        raise ValueError(f"no task {task!r}; there are {', '.join(METRICS)}, and {', '.join(_FUNCTIONS)}")
    if len(predicted) != len(gold) or not gold:
        raise ValueError(f"one prediction for each example is needed, got {len(predicted)} and {len(gold)}")
    return _FUNCTIONS[metric](list(predicted), list(gold))


def _accuracy(predicted: Sequence[float], gold: Sequence[float]) -> float:
    return sum(p == g for p, g in zip(predicted, gold, strict=True)) / len(gold)


def _f1(predicted: Sequence[float], gold: Sequence[float]) -> float:
    hits = sum(p == g == 1 for p, g in zip(predicted, gold, strict=True))
    claimed = sum(p == 1 for p in predicted) + sum(g == 1 for g in gold)
    return 2 * hits / claimed if claimed else 0.0


def _matthews(predicted: Sequence[float], gold: Sequence[float]) -> float:
    """The Pearson correlation of the two labellings, each class an axis."""
    n = len(gold)
    classes = set(predicted) | set(gold)
    claimed = [sum(p == each for p in predicted) for each in classes]
    true = [sum(g == each for g in gold) for each in classes]
    right = sum(p == g for p, g in zip(predicted, gold, strict=True))
    both = right * n - sum(a * b for a, b in zip(claimed, true, strict=True))
    spread = (n * n - sum(a * a for a in claimed)) * (n * n - sum(b * b for b in true))
    return both / math.sqrt(spread) if spread else 0.0


def _spearman(predicted: Sequence[float], gold: Sequence[float]) -> float:
    ranked = [_ranks(predicted), _ranks(gold)]
    middle = (len(gold) + 1) / 2
    a, b = ([rank - middle for rank in ranks] for ranks in ranked)
    spread = sum(x * x for x in a) * sum(y * y for y in b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(spread) if spread else 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    """The place of each value in ascending order, from 1; equal values share the mean of their places."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks


_FUNCTIONS = {"accuracy": _accuracy, "f1": _f1, "matthews": _matthews, "spearman": _spearman}
