"""Distribution and difficulty, on classes small enough to count by hand."""

import pytest

from grader.teaching.difficulty import difficulties, distribution
from grader.teaching.report import ClassReport, Column, Row
from grader.teaching.results import Finished


def test_a_class_without_students_has_no_numbers(report_of) -> None:
    found = distribution(report_of())
    assert (found.count, found.max_points, found.mean, found.quartiles, found.histogram) == (0, 5, None, None, ())
    assert [(each.mean, each.full, each.discrimination) for each in difficulties(report_of())] == [(None, 0, None)] * 2


def test_one_student_is_mean_median_and_both_quartiles(report_of) -> None:
    found = distribution(report_of((2.0, 1.5)))
    assert (found.mean, found.quartiles, found.lowest, found.highest) == (3.5, (3.5, 3.5, 3.5), 3.5, 3.5)
    assert found.deviation is None
    assert sum(bar.count for bar in found.histogram) == 1


def test_quartiles_lie_between_students_and_ties_count_each() -> None:
    rows = tuple(Row(f"s{n}", {"a": value}) for n, value in enumerate([9.0, 1.0, 1.0, 4.0, 10.0]))
    found = distribution(ClassReport("x", (Column("a", "a", 10.0),), rows))
    assert found.quartiles == (1, 4, 9)
    assert found.mean == 5
    assert found.deviation == pytest.approx(18.5**0.5)


def test_a_histogram_holds_each_student_once_whatever_the_points() -> None:
    values = [0.0, 0.1, 0.3, 0.7, 3.0, 7.0, 7.0, 9.0]
    for most in (7.0, 0.3, 9.0, 200.0):
        rows = tuple(Row(f"s{n}", {"a": value}) for n, value in enumerate(values))
        bars = distribution(ClassReport("x", (Column("a", "a", most),), rows)).histogram
        assert sum(bar.count for bar in bars) == len(values)
        assert 1 <= len(bars) <= 20
        assert bars[0].least == 0
        assert bars[-1].below >= max(most, 9.0)
        for bar in bars[:-1]:
            assert bar.count == sum(bar.least - 1e-9 <= value < bar.below - 1e-9 for value in values)


def test_bars_are_no_finer_than_marks_are_given(report_of) -> None:
    rows = (Row("a", {"a": 1.5}), Row("b", {"a": 3.0}))
    bars = distribution(ClassReport("x", (Column("a", "a", 3.0),), rows)).histogram
    assert [(bar.least, bar.count) for bar in bars] == [(0, 0), (0.5, 0), (1, 0), (1.5, 1), (2, 0), (2.5, 1)]


def test_all_zero_is_one_full_bar_at_zero(report_of) -> None:
    found = distribution(report_of(*[(0.0, 0.0)] * 30))
    assert found.histogram[0].count == 30
    assert found.quartiles == (0, 0, 0)
    first, second = difficulties(report_of(*[(0.0, 0.0)] * 30))
    assert (first.none, first.full, first.mean, first.discrimination) == (30, 0, 0, None)
    assert second.none == 30


def test_full_partly_none_waiting_and_absent_are_told_apart(report_of) -> None:
    first, second = difficulties(report_of((2.0, 3.5), (0.5, None), (0.0, 0.0), (2.0,), (2.0, None)))
    assert (first.full, first.partly, first.none, first.waiting, first.absent) == (3, 1, 1, 0, 0)
    assert (second.full, second.partly, second.none, second.waiting, second.absent) == (1, 0, 1, 2, 1)
    assert first.mean == 1.3
    assert second.mean == 1.75


def test_discrimination_is_the_correlation_with_the_rest_and_not_with_itself(report_of) -> None:
    # the first exercise goes with the second, except for one student; its own points must not count twice
    rows = [(2.0, 3.0)] * 10 + [(0.0, 0.0)] * 9 + [(0.0, 3.0)]
    first, second = difficulties(report_of(*rows))
    assert first.discrimination == pytest.approx(0.9045, abs=1e-4)
    assert second.discrimination == pytest.approx(first.discrimination)
    assert difficulties(report_of(*rows[:19]))[0].discrimination is None, "too few students"
    against = difficulties(report_of(*([(2.0, 0.0)] * 10 + [(0.0, 3.0)] * 10)))
    assert against[0].discrimination == pytest.approx(-1)
    assert difficulties(report_of(*([(2.0, 0.0), (2.0, 3.0)] * 10)))[0].discrimination is None, "no variety"


def test_times_are_medians_over_those_who_ran(report_of) -> None:
    results = {
        name: Finished(name, spent=(("a", seconds),)) for name, seconds in zip("xyz", (5.0, 0.1, 0.3), strict=True)
    }
    first, second = difficulties(report_of((2.0, 3.0)), results)
    assert first.median_seconds == 0.3
    assert second.median_seconds is None
