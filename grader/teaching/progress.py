"""What `course grade` shows while it works."""

from typing import Any


class Progress:
    """A progress bar with the time left, and the two functions that move it."""

    def __enter__(self) -> tuple[Any, Any]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import (
            Progress as Bar,
        )

        self.bar = Bar(
            TextColumn("grading"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[student]}", markup=False),
            console=Console(stderr=True),
        )
        self.task = self.bar.add_task("grading", total=None, student="")
        self.bar.start()
        return self._started, self._finished

    def _started(self, total: int) -> None:
        self.bar.update(self.task, total=total)

    def _finished(self, graded: Any) -> None:
        from grader.teaching.report import printable

        self.bar.update(self.task, advance=1, student=printable(graded.student)[:30])

    def __exit__(self, *_: object) -> None:
        self.bar.update(self.task, student="")
        self.bar.stop()
