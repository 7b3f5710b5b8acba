"""The tests of each real chapter, tested: every candidate answer gets what it should."""

import pytest

from grader.authoring.building import stale
from grader.proving.chapter import read_reasons
from grader.proving.mutants import make_mutants

pytestmark = pytest.mark.slow


def test_the_committed_student_notebook_is_fresh(room):
    assert stale(room.course, [room.chapter]) == []


def test_nothing_is_wrong_with_the_hidden_tests(room):
    assert room.proof.all_problems == []


def test_each_exercise_has_three_mistakes_and_two_alternatives(room):
    for exercise in room.proof.exercises:
        assert exercise.mistakes[1] >= 3, exercise.exercise
        assert exercise.alternatives[1] >= 2, exercise.exercise
        assert exercise.reference == exercise.points
        assert exercise.stub == 0
    assert "yes" in [exercise.library for exercise in room.proof.exercises], "no exercise names the library's function"


def test_every_mutant_that_is_explained_is_one(room):
    """Whether all others are refused is for `make mutants`, which takes a minute a chapter."""
    answers = [cell for cell in room.cells if cell.role == "answer"]
    mutants = {mutant.id for cell in answers for mutant in make_mutants(cell.exercise, cell.solution)}
    assert len(mutants) > 20 * len(answers), "few slips are possible: is there enough to write in each answer?"
    reasons = read_reasons(room.chapter.folder / "mutants.toml")
    assert set(reasons) <= mutants
    assert len(reasons) < len(mutants) / 10
