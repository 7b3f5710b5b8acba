"""Five hundred damaged notebooks: nearly all run the very program of the undamaged one, and a sample of the others
gets the same points. `make damaged` runs all of them."""

import functools

import pytest

from grader.execution.run import execute

from .comparing import Verdict, comparison
from .making import COUNT, make_damaged
from .sheet import DAMAGES
from .undamaged import Material, load_material

OWN_CODE = {
    "cells copied, with all their metadata",
    "a first draft kept above the answer, with the same label",
    "scratch cells with errors, magics and notes",
    "a timing magic on top of an answer",
    "the whole notebook pasted below itself",
    "given code edited: comments and prints",
    "a formatter ran over every cell",
    "saved as Latin-1",
    "Colab: ids moved, all cell metadata lost, cells of its own",
    "Kaggle: ids replaced, labels lost, its first cell",
}
"""What adds to the program or changes a cell of it: whether points are kept shows only when it runs."""

TO_RUN = 6
"""Of those, how many are run here, each beside its undamaged one."""


@functools.cache
def material() -> Material:
    return load_material()


@functools.cache
def verdicts() -> list[Verdict]:
    """All of them, none run."""
    compare = comparison(material(), execute)
    return [compare(damaged, may_run=False) for damaged in make_damaged(material())]


def test_every_kind_of_damage_is_made_alone_and_in_company() -> None:
    alone = {each.damaged.kinds[0].name for each in verdicts() if len(each.damaged.kinds) == 1}
    company = {kind.name for each in verdicts() for kind in each.damaged.kinds[1:]}
    assert len(verdicts()) == COUNT
    assert alone == set(DAMAGES)
    assert len(company) > 0.9 * len(DAMAGES)


def test_the_same_five_hundred_are_made_each_time() -> None:
    again = make_damaged(material())
    differing = [a.story for a, b in zip(again, verdicts(), strict=True) if a.folder != b.damaged.folder]
    assert differing == []


def test_each_of_them_is_read() -> None:
    assert [each.words for each in verdicts() if each.problem] == []


def test_what_adds_no_code_runs_the_very_program_of_the_undamaged() -> None:
    """Two kinds at once may leave an edited check without its label: it then runs as the student's own code."""
    given = [each for each in verdicts() if not OWN_CODE & {kind.words for kind in each.damaged.kinds}]
    changed = [each for each in given if not each.same_plan]
    assert [each.words for each in changed if len(each.damaged.kinds) == 1] == []
    assert len(given) > 0.6 * COUNT
    assert len(changed) <= 0.02 * len(given), [each.words for each in changed]


def test_every_damage_that_needed_mending_is_told(repaired: list[Verdict]) -> None:
    silent = [each.words for each in repaired if not each.repairs]
    assert silent == []


@pytest.fixture
def repaired() -> list[Verdict]:
    """Those in which an answer had to be looked for."""
    looked_for = {"all metadata and ids lost", "an answer split in three", "all code in one cell", "one folder deeper"}
    found = [each for each in verdicts() if looked_for & {kind.words for kind in each.damaged.kinds}]
    assert len(found) > 10
    return found


@pytest.mark.slow
@pytest.mark.sandbox
def test_a_sample_of_the_others_gets_the_points_of_the_undamaged() -> None:
    others = [each for each in verdicts() if not each.same_plan]
    compare = comparison(material(), execute)
    for each in others[:: len(others) // TO_RUN]:
        verdict = compare(each.damaged)
        assert verdict.kept, verdict.words
