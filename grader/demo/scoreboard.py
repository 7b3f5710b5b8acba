"""The demo's outcome for people: a line for each student, the differences, and where everything is."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.demo.performance import DemoOutcome
from grader.demo.students import Student


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
    console.print(f"{_verdict(good, count)} in {outcome.seconds:.0f} s")


def show_board(outcomes: Mapping[str, DemoOutcome], console: Console) -> None:
    """Print one table for several chapters: what each student got in each, and whether it was deserved.

    Args:
        outcomes: by the chapter's id, in order.
        console: where to.
    """
    table = Table(title="The demo class in every chapter", title_justify="left", box=SIMPLE_HEAD, padding=0)
    table.add_column("student", no_wrap=True)
    for chapter_id in outcomes:
        table.add_column(f" {chapter_id[:2]}", justify="right", no_wrap=True)
    table.add_column("   got", justify="right", no_wrap=True)
    table.add_column("   deserved", justify="right", no_wrap=True)
    places = good = 0
    for student in _students(outcomes):
        cells, got, least, most = list[str](), 0.0, 0.0, 0.0
        for outcome in outcomes.values():
            total = _total(outcome, student.name)
            wrong = student.name in outcome.wrong
            places, good = places + 1, good + (not wrong)
            cells.append(f" [red]{total:g}✗[/red]" if wrong else f" {total:g}")
            row = next(each for each in outcome.students if each.name == student.name)
            got, least, most = got + total, least + row.least, most + row.most
        deserved = f"{least:g}" + (f" to {most:g}" if most > least else "")
        name = f"[yellow]{student.name}[/yellow]" if student.hostile else student.name
        table.add_row(name, *cells, f"{got:g}", deserved)
    console.print(table)
    for chapter_id, outcome in outcomes.items():
        for words in outcome.differences:
            console.print(f"[red]✗[/red] {chapter_id}: {escape(words)}", highlight=False, soft_wrap=True)
    console.print(f"{_verdict(good, places)}, {len(outcomes)} chapters, {_minutes(outcomes):.0f} minutes")


def board_csv(outcomes: Mapping[str, DemoOutcome]) -> str:
    """The same as CSV: a row for each student and chapter."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["student", "handed in", "hostile", "chapter", "got", "least deserved", "most deserved", "as deserved"]
    )
    for chapter_id, outcome in outcomes.items():
        for student in outcome.students:
            right = "no" if student.name in outcome.wrong else "yes"
            got = f"{_total(outcome, student.name):g}"
            hostile = "yes" if student.hostile else "no"
            span = (f"{student.least:g}", f"{student.most:g}")
            writer.writerow([student.name, student.story, hostile, chapter_id, got, *span, right])
    return text.getvalue()


def _students(outcomes: Mapping[str, DemoOutcome]) -> list[Student]:
    return next(iter(outcomes.values())).students


def _total(outcome: DemoOutcome, name: str) -> float:
    return next((row.total for row in outcome.report.rows if row.student == name), 0.0)


def _minutes(outcomes: Mapping[str, DemoOutcome]) -> float:
    return sum(outcome.seconds for outcome in outcomes.values()) / 60


def _verdict(good: int, count: int) -> str:
    colour = "green" if good == count else "red"
    return f"[bold {colour}]{good} of {count} as deserved[/bold {colour}]"


def _short(path: Path) -> Path:
    return Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path
