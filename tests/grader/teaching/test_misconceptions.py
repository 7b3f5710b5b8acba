"""Failures of a class, grouped by what was misunderstood."""

import pytest

from grader.hidden import Mistake
from grader.teaching.misconceptions import group_failures, without_values
from grader.teaching.results import Failure, Finished


def failed(student: str, words: str, criterion: str = "values", exercise: str = "add-up") -> Finished:
    return Finished(student, failures=(Failure(exercise, criterion, words),))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the sum of [1.5, -2] is not 3.0", "the sum of [7] is not -12.25e-3"),
        ("shape (2, (3, 4)) came for (5,)", "shape (7,) came for ((1, 2), [3])"),
        ("n=2, smoothing='addk', tied=True", "n=3, smoothing='witten_bell', tied=False"),
        ("1,234 of 2,000 rows", "7 of 12 rows"),
        ("NameError: name 'softmx' is not defined", "NameError: name 'x' is not defined"),
        ("ids [1, 2,\n 3] changed", "ids [4] changed"),
    ],
)
def test_the_same_words_about_other_inputs_are_one_group(one: str, other: str) -> None:
    assert without_values(one) == without_values(other)
    assert [each.count for each in group_failures([failed("a", one), failed("b", other)])] == [2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("it isn't the sum", "it isn't the mean"),
        ("the dtype is float32", "the dtype is float64"),
        ("a None came", "a list came"),
        ("nan: 0/0", "inf: 0/0"),
        ("x_1 was asked", "x_2 was asked"),
        ("the rows' sums, not the columns' sums", "the rows' means, not the columns' sums"),
        ("it doesn't stop and it won't start", "it doesn't halt and it won't start"),
    ],
)
def test_words_that_say_something_else_stay_apart(one: str, other: str) -> None:
    assert len(group_failures([failed("a", one), failed("b", other)])) == 2


def test_the_same_words_in_another_criterion_or_exercise_are_another_group() -> None:
    results = [failed("a", "wrong"), failed("b", "wrong", "edges"), failed("c", "wrong", exercise="shares")]
    found = group_failures(results, order=["shares", "add-up"])
    assert [(each.exercise, each.criterion) for each in found] == [
        ("shares", "values"),
        ("add-up", "edges"),
        ("add-up", "values"),
    ]


def test_shares_are_of_those_with_something_to_grade_and_a_student_counts_once() -> None:
    results = [
        failed("b", "wrong 1"),
        failed("a", "wrong 2"),
        Finished("c"),
        Finished("d"),
        Finished("e", problem="no notebook", failures=()),
    ]
    (found,) = group_failures(results)
    assert (found.count, found.share, found.students, found.words) == (2, 0.5, ("a", "b"), "wrong 2")


def test_a_group_names_some_students_and_counts_all() -> None:
    (found,) = group_failures([failed(f"s{n}", "wrong") for n in range(9)])
    assert found.count == 9
    assert found.students == ("s0", "s1", "s2", "s3", "s4")


def mistake(name: str, says: str, exercise: str = "add-up") -> Mistake:
    return Mistake(exercise, name, f"I believe {name}.", says, "")


def test_the_courses_own_mistakes_name_the_groups_that_hold_their_words() -> None:
    mistakes = [
        mistake("signs", "whatever its sign"),
        mistake("positive", "added, whatever its sign"),
        mistake("else", "whatever its sign", exercise="shares"),
    ]
    results = [failed("a", "is it added, whatever its sign? 3 of [1]"), failed("b", "not added, whatever its sign")]
    (found,) = group_failures(results, mistakes)
    assert (found.name, found.belief, found.count) == ("positive", "I believe positive.", 2)


def test_words_that_two_mistakes_share_name_neither() -> None:
    (found,) = group_failures(
        [failed("a", "ValueError: math")], [mistake("x", "ValueError"), mistake("y", "Error: mat")]
    )
    assert found.name == ""


def test_no_failures_are_no_groups() -> None:
    assert group_failures([]) == []
    assert group_failures([Finished("a")]) == []
