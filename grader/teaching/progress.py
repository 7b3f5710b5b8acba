"""What `course grade` shows while it works: a bar in a terminal, a line now and then in a file."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

RECENT = 200
"""Submissions by which speed is judged: a class is not equally slow from A to Z. Fewer than that take no time at all
on a large cluster, so those of the last thirty seconds count too."""

RECENT_SECONDS = 30.0

FEWEST = 8
"""Graded submissions before a time left is named: the first ones wait for the workers to start."""

SHORTEST = 3.0
"""Seconds of grading before a time left is named: with many workers the first ones end together."""

PAUSES = (5.0, 10.0, 30.0, 60.0)
"""Seconds between the lines where there is no terminal; the last of them is kept."""


class Ended(Protocol):
    """What a submission's end tells: a part of `grader.grading.grading.Graded`."""

    @property
    def student(self) -> str:
        """Whose."""

    @property
    def problem(self) -> str:
        """Why there was nothing to grade."""

    @property
    def skipped(self) -> bool:
        """Graded before."""

    @property
    def recorded(self) -> bool:
        """Whether it could be written down."""


class Pace:
    """Counts, speed, and the time left.

    What was graded before is passed over a thousand times faster than the rest is graded, so the two are never
    mixed: the time left is the share of work among the last submissions, times what one of those takes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.total = 0
        self.graded = self.unchanged = self.problems = 0
        self._worked: deque[float] = deque()
        """When each of the last graded submissions ended."""
        self._kinds: deque[bool] = deque(maxlen=RECENT)
        """Of the last submissions, which were graded and not passed over."""

    @property
    def done(self) -> int:
        """Submissions that are dealt with."""
        return self.graded + self.unchanged

    def count(self, ended: Ended) -> None:
        """Take note of one submission."""
        if ended.skipped:
            self.unchanged += 1
        else:
            self.graded += 1
            now = self.clock()
            self._worked.append(now)
            while len(self._worked) > RECENT and now - self._worked[1] > RECENT_SECONDS:
                self._worked.popleft()
        self.problems += bool(ended.problem) or not ended.recorded
        self._kinds.append(not ended.skipped)

    @property
    def rate(self) -> float | None:
        """Submissions graded in a second, lately; None until it can be told."""
        if len(self._worked) < FEWEST:
            return None
        first, last = self._worked[0], self._worked[-1]
        gaps = len(self._worked) - 1
        # a long silence counts: what is slow now is not as fast as it was
        silence = self.clock() - last
        span = last - first + (silence if silence > 3 * (last - first) / gaps else 0.0)
        return gaps / span if span >= SHORTEST else None

    @property
    def left(self) -> float | None:
        """Seconds to the end; None until it can be told."""
        if self.done >= self.total:
            return 0.0
        if self.rate is None:
            return None
        return (self.total - self.done) * sum(self._kinds) / len(self._kinds) / self.rate

    def counts(self) -> str:
        """The counts in words."""
        words = [f"{self.graded:,} graded"]
        words += [f"{self.unchanged:,} unchanged"] if self.unchanged else []
        words += [f"{self.problems:,} with a problem"] if self.problems else []
        return ", ".join(words)

    def speed(self) -> str:
        """The rate in words: in a second, or in a minute where it is slow."""
        if self.rate is None:
            return ""
        return f"{self.rate:.1f} a second" if self.rate >= 1 else f"{self.rate * 60:.1f} a minute"


def in_words(seconds: float | None) -> str:
    """A time left, no finer than it is known.

    >>> [in_words(x) for x in (None, 0, 8, 95, 3700, 90000)]
    ['not known yet', '0 s', '8 s', '2 min', '1 h 02 min', '25 h']
    """
    if seconds is None:
        return "not known yet"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes < 600 else f"{round(minutes / 60)} h"


class Progress:
    """Progress on a console, and the two functions that move it: `started(total)` and `finished(graded)`."""

    def __init__(self, console: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.clock = clock

    def __enter__(self) -> tuple[Callable[[int], None], Callable[[Ended], None]]:
        from rich.console import Console

        self.console = self.console or Console(stderr=True)
        self.pace = Pace(self.clock)
        self.bar = _bar(self.console) if self.console.is_terminal else None
        self.task = self.bar.add_task("grading", total=None, **self._fields("")) if self.bar else None
        self.lines = 0
        self.last = self.clock()
        if self.bar:
            self.bar.start()
        return self._started, self._finished

    def _started(self, total: int) -> None:
        self.pace.total = total
        if self.bar:
            self.bar.update(self.task, total=total)

    def _finished(self, ended: Ended) -> None:
        from grader.teaching.report import printable

        self.pace.count(ended)
        if self.bar:
            self.bar.update(self.task, completed=self.pace.done, **self._fields(printable(ended.student)[:30]))
        elif self.clock() - self.last >= PAUSES[min(self.lines, len(PAUSES) - 1)]:
            self._line()

    def _fields(self, student: str) -> dict[str, str]:
        return {
            "counts": self.pace.counts(),
            "speed": self.pace.speed(),
            "left": in_words(self.pace.left),
            "student": student,
        }

    def _line(self) -> None:
        pace = self.pace
        self.lines += 1
        self.last = self.clock()
        words = [f"{pace.done:,} of {pace.total:,}: {pace.counts()}", pace.speed(), f"left: {in_words(pace.left)}"]
        self.console.print("; ".join(filter(None, words)), highlight=False, markup=False, soft_wrap=True)

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.update(self.task, **self._fields(""))
            self.bar.stop()
        elif self.lines:
            self._line()


def _bar(console: Any) -> Any:
    """The bar: rich's own time left knows one speed only, so it is not used."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("grading"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left: {task.fields[left]}"),
        TextColumn("{task.fields[speed]}", style="dim"),
        TextColumn("{task.fields[counts]}", style="dim"),
        TextColumn("{task.fields[student]}", markup=False),
        console=console,
    )
