"""Putting rankings together, and saying how good one is.

Holds reciprocal rank fusion, and recall, reciprocal rank and nDCG at k. Leaves out graded relevance. Built in
chapter 10.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence

from byhand.retrieval.index import Id


def rrf(rankings: Sequence[Sequence[Id]], k: int = 60) -> list[tuple[Id, float]]:
    """Several rankings as one: an id's score is the sum of 1 / (k + rank) over the rankings that hold it.

    Ranks begin at 1, so being second somewhere is nearly as good as being first, and being in two rankings is
    better than leading one. Only ranks enter, so scores of different kinds may be fused. Cormack, Clarke and
    Büttcher 2009.

    Returns:
        (id, score), best first, ties by id.

    Raises:
        ValueError: when `k` is negative, or a ranking holds an id twice.

    >>> [name for name, score in rrf([["a", "b"], ["b", "c"]])]
    ['b', 'a', 'c']
    """
    if k < 0:
        raise ValueError(f"k must be 0 or more, got {k}")
    scores: defaultdict[Id, float] = defaultdict(float)
    for ranking in rankings:
        _require_distinct(ranking)
        for rank, name in enumerate(ranking, start=1):
            scores[name] += 1 / (k + rank)
    return sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))


def retrieval_metrics(ranked: Sequence[Id], relevant: Collection[Id], k: int) -> dict[str, float]:
    """How good the first k of a ranking are, each from 0 to 1; average over queries.

    - `recall`: the share of the relevant ids that are among them.
    - `mrr`: 1 / rank of the first relevant one; 0 when none is among them.
    - `ndcg`: the sum of 1 / log2(rank + 1) over the relevant ones, divided by what the best order would get
      (Järvelin and Kekäläinen 2002, with gains of 0 and 1).

    A query with nothing relevant scores 0 in all three: leave such queries out before averaging.

    Raises:
        ValueError: when `k` is below 1 or the ranking holds an id twice.

    >>> retrieval_metrics(["x", "a", "y", "b"], {"a", "b"}, k=3)["recall"]
    0.5
    >>> retrieval_metrics(["x", "a", "y", "b"], {"a", "b"}, k=3)["mrr"]
    0.5
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    _require_distinct(ranked)
    wanted = set(relevant)
    ranks = [rank for rank, name in enumerate(ranked[:k], start=1) if name in wanted]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
    return {
        "recall": len(ranks) / len(wanted) if wanted else 0.0,
        "mrr": 1 / ranks[0] if ranks else 0.0,
        "ndcg": sum(1 / math.log2(rank + 1) for rank in ranks) / ideal if wanted else 0.0,
    }


def _require_distinct(ranking: Sequence[Id]) -> None:
    if len(set(ranking)) != len(ranking):
        twice = next(name for name in ranking if list(ranking).count(name) > 1)
        raise ValueError(f"the ranking holds {twice!r} twice: keep the first place of each id")
