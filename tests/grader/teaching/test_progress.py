"""Progress: honest about what is left, whatever was graded before, in a terminal and in a file."""

import io
from dataclasses import dataclass
from typing import Any

import pytest
from rich.console import Console

from grader.teaching.progress import Pace, Progress


@dataclass
class End:
    student: str = "ann"
    problem: str = ""
    skipped: bool = False
    recorded: bool = True


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(pace: Pace, clock: Clock, count: int, seconds: float, **kind: Any) -> None:
    for _ in range(count):
        clock.now += seconds
        pace.count(End(**kind))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    pace = Pace(clock)
    pace.total = 10_000
    return pace


def test_before_anything_is_graded_the_time_left_is_not_known(pace: Pace, clock: Clock) -> None:
    assert pace.left is None
    clock.now += 60  # workers start
    run(pace, clock, 3, 0.001)
    assert pace.left is None


def test_a_handful_is_not_enough_to_name_a_time(pace: Pace, clock: Clock) -> None:
    run(pace, clock, 7, 1.0)
    assert pace.left is None
    run(pace, clock, 1, 1.0)
    assert pace.left == pytest.approx(9992)


def test_the_start_of_the_workers_is_not_taken_for_the_speed(pace: Pace, clock: Clock) -> None:
    clock.now += 60
    run(pace, clock, 20, 0.5)
    assert pace.rate == pytest.approx(2, rel=0.01)
    assert pace.left == pytest.approx(9980 / 2, rel=0.01)


def test_what_was_graded_before_does_not_promise_a_quick_end(pace: Pace, clock: Clock) -> None:
    run(pace, clock, 6000, 0.0002, skipped=True)
    assert pace.left is None
    run(pace, clock, 250, 0.5)
    assert pace.left == pytest.approx(3750 * 0.5, rel=0.02)
    assert pace.counts() == "250 graded, 6,000 unchanged"


def test_a_few_changed_among_many_do_not_promise_an_hour(pace: Pace, clock: Clock) -> None:
    for _ in range(20):
        run(pace, clock, 199, 0.0002, skipped=True)
        run(pace, clock, 1, 0.5)
    assert pace.left == pytest.approx(6000 / 200 * 0.54, rel=0.1)


def test_a_large_cluster_has_a_speed_too(pace: Pace, clock: Clock) -> None:
    run(pace, clock, 5000, 0.002)
    assert pace.rate == pytest.approx(500, rel=0.02)
    assert pace.left == pytest.approx(10, rel=0.02)


def test_a_class_that_gets_slower_shows_it_and_so_does_silence(pace: Pace, clock: Clock) -> None:
    run(pace, clock, 1000, 0.1)
    run(pace, clock, 400, 2.0)
    assert pace.rate == pytest.approx(0.5, rel=0.01)
    before = pace.left
    clock.now += 600
    assert pace.left > 2 * before


def test_the_end_is_the_end(pace: Pace, clock: Clock) -> None:
    pace.total = 3
    run(pace, clock, 3, 0.1)
    assert pace.left == 0


def test_problems_are_counted_whether_graded_or_not_recorded(pace: Pace, clock: Clock) -> None:
    run(pace, clock, 2, 1, problem="no notebook")
    run(pace, clock, 1, 1, recorded=False)
    run(pace, clock, 1, 1, problem="no notebook", skipped=True)
    assert pace.counts() == "3 graded, 1 unchanged, 4 with a problem"


def shown(clock: Clock, count: int, seconds: float, **console: Any) -> str:
    out = io.StringIO()
    with Progress(Console(file=out, width=160, **console), clock) as (started, finished):
        started(count)
        for number in range(count):
            clock.now += seconds
            finished(End(f"student \x1b[2J[red] {number}", problem="x" * (number == 0)))
    return out.getvalue()


def test_without_a_terminal_there_is_a_line_now_and_then_and_one_at_the_end(clock: Clock) -> None:
    lines = shown(clock, 600, 0.5).splitlines()
    assert 5 <= len(lines) <= 12
    assert lines[0] == "10 of 600: 10 graded, 1 with a problem; 2.0 a second; left: 5 min"
    assert lines[-1] == "600 of 600: 600 graded, 1 with a problem; 2.0 a second; left: 0 s"


def test_a_short_run_in_a_file_says_nothing(clock: Clock) -> None:
    assert shown(clock, 3, 0.5) == ""


def test_in_a_terminal_there_is_a_bar_and_a_name_is_no_command(clock: Clock) -> None:
    out = io.StringIO()
    progress = Progress(Console(file=out, width=160, force_terminal=True), clock)
    with progress as (started, finished):
        started(40)
        for number in range(40):
            clock.now += 1
            finished(End("\x1b[2J[red] ann", problem="x" * (number == 0)))
        progress.bar.refresh()
    text = out.getvalue()
    assert "40/40" in text
    assert "1 with a problem" in text
    assert "?[2J[red] ann" in text
    assert "\x1b[2J" not in text
