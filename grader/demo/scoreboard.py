"""The demo's outcome for people: a line for each student, the differences, and where everything is."""

import csv
import io
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.demo.performance import DemoOutcome
from grader.demo.students import Student

QUARTERS = {0.25: "¼", 0.5: "½", 0.75: "¾"}


def show_outcome(outcome: DemoOutcome, console: Console) -> None:
    """Print the scoreboard."""
    report = outcome.report
    totals = _totals(outcome)
    table = Table(title=f"{report.title}: the demo class", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", "student", "handed in"):
        table.add_column(heading, overflow="fold")
    table.add_column("deserved", justify="right", no_wrap=True)
    table.add_column(f"got of {report.max_points:g}", justify="right", no_wrap=True)
    for student in outcome.students:
        mark = "[red]✗[/red]" if student.name in outcome.wrong else "[green]✓[/green]"
        got = _points(totals[student.name]) if student.name in totals else "–"
        table.add_row(mark, _name(student), escape(student.story), _points(student.total), got)
    console.print(table)
    for words in outcome.differences:
        console.print(f"[red]✗[/red] {escape(words)}", highlight=False, soft_wrap=True)
    for name, path in outcome.places.items():
        console.print(f"{name + ':':<13}{escape(str(_short(path)))}", highlight=False, soft_wrap=True)
    if not outcome.differences:
        console.print(
            f"the thief tried {outcome.attempts} ways to read what is hidden, and got and left nothing",
            highlight=False,
        )
    console.print(f"{_verdict([outcome])} in {outcome.seconds:.0f} s")


def show_board(outcomes: Mapping[str, DemoOutcome], console: Console) -> None:
    """Print one table for several chapters: what each student got in each, and whether it was deserved.

    Args:
        outcomes: by the chapter's id, in order. Their classes have the same students.
        console: where to.
    """
    title = "The demo class in every chapter"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False)
    # sixteen chapters fit into a hundred columns; where there are fewer, names are cut before points
    table.add_column("student")
    for heading in (*(chapter_id[:2] for chapter_id in outcomes), "got", "deserved"):
        table.add_column(heading, justify="right", no_wrap=True)
    totals = [_totals(outcome) for outcome in outcomes.values()]
    for same in zip(*(outcome.students for outcome in outcomes.values()), strict=True):
        name = same[0].name
        got = [total.get(name, 0.0) for total in totals]
        cells = [
            f"[red]{_points(points)}✗[/red]" if name in outcome.wrong else _points(points)
            for points, outcome in zip(got, outcomes.values(), strict=True)
        ]
        deserved = _points(sum(student.total for student in same))
        table.add_row(_name(same[0]), *cells, _points(sum(got)), deserved)
    console.print(table)
    for chapter_id, outcome in outcomes.items():
        for words in outcome.differences:
            console.print(f"[red]✗[/red] {chapter_id}: {escape(words)}", highlight=False, soft_wrap=True)
    minutes = sum(outcome.seconds for outcome in outcomes.values()) / 60
    console.print(f"{_verdict(outcomes.values())}, {len(outcomes)} chapters, {minutes:.0f} minutes")


def board_csv(outcomes: Mapping[str, DemoOutcome]) -> str:
    """The same as CSV: a row for each student and chapter."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["student", "handed in", "hostile", "chapter", "got", "deserved", "as deserved"])
    for chapter_id, outcome in outcomes.items():
        totals = _totals(outcome)
        for student in outcome.students:
            right = "no" if student.name in outcome.wrong else "yes"
            got = f"{totals.get(student.name, 0.0):g}"
            hostile = "yes" if student.hostile else "no"
            deserved = f"{student.total:g}"
            writer.writerow([student.name, student.story, hostile, chapter_id, got, deserved, right])
    return text.getvalue()


def _totals(outcome: DemoOutcome) -> dict[str, float]:
    """What each student got; who is not in the gradebook is not here."""
    return {row.student: row.total for row in outcome.report.rows}


def _name(student: Student) -> str:
    return f"[yellow]{student.name}[/yellow]" if student.hostile else student.name


def _points(points: float) -> str:
    """Points in few columns.

    >>> _points(6.25), _points(20.0), _points(0.1)
    ('6¼', '20', '0.1')
    """
    whole, part = divmod(points, 1)
    return f"{whole:g}{QUARTERS[part]}" if part in QUARTERS else f"{points:g}"


def _verdict(outcomes: Collection[DemoOutcome]) -> str:
    count = sum(len(outcome.students) for outcome in outcomes)
    good = count - sum(len(outcome.wrong) for outcome in outcomes)
    colour = "green" if good == count else "red"
    return f"[bold {colour}]{good} of {count} as deserved[/bold {colour}]"


def _short(path: Path) -> Path:
    return Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path
