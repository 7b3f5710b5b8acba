"""The demo's outcome for people: a line for each student, the differences, and where everything is."""

import os
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.demo.performance import DemoOutcome


def show_outcome(outcome: DemoOutcome, console: Console) -> None:
    """Print the scoreboard."""
    report = outcome.report
    totals = {row.student: row.total for row in report.rows}
    table = Table(title=f"{report.title}: the demo class", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", "student", "handed in"):
        table.add_column(heading, overflow="fold")
    table.add_column("deserved", justify="right", no_wrap=True)
    table.add_column(f"got of {report.max_points:g}", justify="right", no_wrap=True)
    for student in outcome.students:
        mark = "[red]✗[/red]" if student.name in outcome.wrong else "[green]✓[/green]"
        deserved = f"{student.least:g}" + (f" to {student.most:g}" if student.most > student.least else "")
        got = f"{totals[student.name]:g}" if student.name in totals else "–"
        name = f"[yellow]{student.name}[/yellow]" if student.hostile else student.name
        table.add_row(mark, name, escape(student.story), deserved, got)
    console.print(table)
    for words in outcome.differences:
        console.print(f"[red]✗[/red] {escape(words)}", highlight=False, soft_wrap=True)
    for name, path in outcome.places.items():
        console.print(f"{name + ':':<13}{escape(str(_short(path)))}", highlight=False, soft_wrap=True)
    good, count = len(outcome.students) - len(outcome.wrong), len(outcome.students)
    if not outcome.differences:
        console.print(
            f"the thief tried {outcome.attempts} ways to read what is hidden, and got and left nothing",
            highlight=False,
        )
    colour = "green" if good == count else "red"
    console.print(f"[bold {colour}]{good} of {count} as deserved[/bold {colour}] in {outcome.seconds:.0f} s")


def _short(path: Path) -> Path:
    return Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path
