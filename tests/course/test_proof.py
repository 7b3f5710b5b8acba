"""The tests of each real chapter, tested: every candidate answer gets what it should."""

import pytest

from grader.authoring.building import stale
from grader.loading import load_alternatives

pytestmark = pytest.mark.slow


def test_the_committed_student_notebook_is_fresh(room):
    assert stale(room.course, [room.chapter]) == []


def test_nothing_is_wrong_with_the_tests_and_every_surviving_mutant_is_explained(room):
    assert room.proof.all_problems == []


def test_each_exercise_has_three_mistakes_two_alternatives_and_the_library(room):
    # Where the library takes other arguments than the exercise, an alternative holds the adapter.
    adapted = {other.exercise for other in load_alternatives(room.chapter.alternatives) if "from byhand." in other.code}
    for exercise in room.proof.exercises:
        assert exercise.mistakes[1] >= 3, exercise.exercise
        assert exercise.alternatives[1] >= 2, exercise.exercise
        assert exercise.library == ("–" if exercise.exercise in adapted else "yes"), exercise.exercise
        assert exercise.reference == exercise.points
        assert exercise.stub == 0


def test_nine_of_ten_mutants_are_refused(room):
    killed = sum(exercise.mutants[0] for exercise in room.proof.exercises)
    count = sum(exercise.mutants[1] for exercise in room.proof.exercises)
    assert count > 20 * len(room.proof.exercises)
    assert killed / count >= 0.9
