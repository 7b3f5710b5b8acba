"""Tree of thoughts: several partial solutions kept at each level, so that one good-looking start cannot mislead.

Holds the breadth-first search with a beam. Leaves out the prompts that make a model propose thoughts and judge them,
which are `expand` and `value`, and depth-first search. Built in chapter 9.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

State = TypeVar("State", bound=Hashable)


def tree_search(
    expand: Callable[[State], Iterable[State]],
    value: Callable[[State], float],
    root: State,
    beam: int,
    depth: int,
) -> list[State]:
    """The path from the root to the best state found, by levels, the best `beam` states of each going on.

    A level holds at most beam times branch new states. A state met before, on any path, is neither judged nor
    expanded again. The best state may stand at any level, not only the last; of equals the one found first
    wins. Yao et al. 2023 ("Tree of thoughts"), algorithm 1.

    Args:
        expand: the states one step on; none for a state that is complete.
        value: how promising a state is, more is better; asked once a state.
        root: where to begin.
        beam: how many states of a level go on; 1 is greedy search.
        depth: how many levels.

    Raises:
        ValueError: when `beam` is below 1 or `depth` below 0.

    >>> doubled_or_one_more = lambda n: [n + 1, 2 * n]
    >>> tree_search(doubled_or_one_more, lambda n: -abs(n - 10), root=1, beam=3, depth=4)
    [1, 2, 4, 5, 10]
    """
    if beam < 1 or depth < 0:
        raise ValueError(f"need beam >= 1 and depth >= 0, got beam={beam}, depth={depth}")
    values = {root: value(root)}
    parents: dict[State, State] = {}
    level = [root]
    for _ in range(depth):
        found = []
        for state in level:
            for after in expand(state):
                if after not in values:
                    values[after] = value(after)
                    parents[after] = state
                    found.append(after)
        level = sorted(found, key=values.__getitem__, reverse=True)[:beam]
    path = [max(values, key=values.__getitem__)]
    while path[-1] in parents:
        path.append(parents[path[-1]])
    return path[::-1]
