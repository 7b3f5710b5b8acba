"""Tree search: what greedy search misses, how much is expanded, and which path comes back."""

import pytest
from byhand.prompting import tree_search

CHILDREN = {
    "root": ["bright", "dull"],
    "bright": ["dead end", "worse"],
    "dull": ["gold", "bright"],
    "dead end": ["deeper"],
}
VALUES = {"root": 0, "bright": 5, "dull": 4, "dead end": 1, "worse": 2, "gold": 9, "deeper": 3}


def expand(state):
    return CHILDREN.get(state, [])


def test_a_beam_finds_the_planted_solution_that_greedy_search_misses():
    assert tree_search(expand, VALUES.get, "root", beam=1, depth=3) == ["root", "bright"]
    assert tree_search(expand, VALUES.get, "root", beam=2, depth=3) == ["root", "dull", "gold"]


def test_the_best_state_counts_at_whatever_level_it_stands():
    values = {"root": 1, "bright": 7, "dull": 2, "dead end": 3, "worse": 4, "gold": 5, "deeper": 6}
    assert tree_search(expand, values.get, "root", beam=9, depth=9) == ["root", "bright"]
    assert tree_search(expand, lambda state: state == "root", "root", beam=9, depth=9) == ["root"]


def test_of_equals_the_first_found_wins():
    assert tree_search(lambda n: [n + 1, n + 2] if n < 4 else [], lambda n: min(n, 2), 0, beam=3, depth=3) == [0, 2]


@pytest.mark.parametrize("beam", [1, 2, 5])
def test_a_level_expands_at_most_beam_states_and_judges_each_once(beam):
    expanded, judged = [], []

    def branches(path):
        expanded.append(path)
        return [path + letter for letter in "abc"]

    def value(path):
        judged.append(path)
        return path.count("b") - len(path) / 10

    tree_search(branches, value, "", beam=beam, depth=4)
    for level in range(4):
        assert len([path for path in expanded if len(path) == level]) == min(beam, 3**level)
    assert len(judged) == len(set(judged))


def test_a_state_met_before_is_not_expanded_again():
    expanded = []

    def circle(n):
        expanded.append(n)
        return [(n + 1) % 3, n]

    assert tree_search(circle, lambda n: n, 0, beam=2, depth=50) == [0, 1, 2]
    assert sorted(expanded) == [0, 1, 2]


def test_no_depth_is_the_root():
    assert tree_search(expand, VALUES.get, "root", beam=3, depth=0) == ["root"]


@pytest.mark.parametrize(("beam", "depth"), [(0, 1), (1, -1)])
def test_sizes_out_of_range_are_named(beam, depth):
    with pytest.raises(ValueError, match=f"got beam={beam}, depth={depth}"):
        tree_search(expand, VALUES.get, "root", beam=beam, depth=depth)
