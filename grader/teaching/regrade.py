"""`course regrade`."""

import csv
import io
from pathlib import Path
from typing import Any

import click

from grader.teaching.options import CLASS_OPTION, DB_OPTION, SANDBOX_OPTION, SCHEDULER_OPTION, WORKERS_OPTION

MOST_SHOWN = 60
"""Lines of the table on a terminal; the CSV has all."""


@click.command()
@click.argument("chapter_id", metavar="CHAPTER")
@CLASS_OPTION
@WORKERS_OPTION
@SCHEDULER_OPTION
@SANDBOX_OPTION
@DB_OPTION
@click.option("--student", "students", multiple=True, metavar="NAME", help="Only this student; may be repeated.")
@click.option("--apply", is_flag=True, help="Write the changes into the gradebook and the feedback.")
@click.option("--csv", "csv_path", type=click.Path(dir_okay=False, path_type=Path), help="Write all changes as CSV.")
def regrade(
    chapter_id: str,
    folder: Path,
    workers: int | None,
    scheduler: str | None,
    no_sandbox: bool,
    db_url: str | None,
    students: tuple[str, ...],
    apply: bool,
    csv_path: Path | None,
) -> None:
    """Show what a changed check of CHAPTER does to those who were graded: who gains, who loses, and why.

    Only what the change touches is run: a changed judge decides on the answers that are kept, a changed
    question is put to every submission alone. Nothing is written to the gradebook or to feedback without
    --apply. What teachers entered by hand (points, extra credit, comments) stays. Submissions that are new or
    were handed in again since are left to `course grade`.
    """
    from grader.course import find_root, load_course
    from grader.errors import CourseError
    from grader.files import write_whole
    from grader.grading.classroom import open_classroom
    from grader.grading.one_writer import one_writer
    from grader.grading.regrading import regrade_class
    from grader.teaching.executing import chosen_workers
    from grader.teaching.progress import Progress

    course = load_course(find_root())
    chapter = course.chapter(chapter_id)
    classroom = open_classroom(folder, db_url)
    with (
        chosen_workers(workers, scheduler, no_sandbox=no_sandbox) as executor,
        one_writer(classroom),
        Progress() as (started, finished),
    ):
        report = regrade_class(
            course,
            chapter,
            classroom,
            executor,
            only=students,
            apply=apply,
            sandboxed=not no_sandbox,
            started=started,
            finished=finished,
        )
    if csv_path is not None:
        write_whole(csv_path, as_csv(report))
    print_changes(report)
    if report.lost:
        some = "; ".join(f"{student}: {words}" for student, words in report.lost[:3])
        raise CourseError(f"{len(report.lost)} submissions could not be compared ({some})", "run the command again")


def print_changes(report: Any) -> None:
    """The changes as a table, and what was done in words."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from grader.teaching.report import printable

    console = Console()
    table = Table()
    for name in ("student", "exercise", "points", "why"):
        table.add_column(name, overflow="fold", no_wrap=name == "points")
    for move in report.moves[:MOST_SHOWN]:
        stands = "" if move.by_hand is None else f" (a teacher's {move.by_hand:g} stands)"
        style = "green" if move.gain > 0 else "red" if move.gain < 0 else ""
        table.add_row(
            Text(printable(move.student)),
            Text(move.exercise),
            Text(points_moved(move) + stands, style=style),
            Text(printable(move.why)),
        )
    if report.moves:
        console.print(table)
    for line in in_words(report):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def points_moved(move: Any) -> str:
    """Old and new points, with what there was to earn where that changed.

    >>> from grader.grading.regrading import Move
    >>> points_moved(Move("ada", "1.1 Sum", (1.0, 2.0), (2.0, 3.0), ""))
    '1 of 2 -> 2 of 3'
    """
    if move.old[1] == move.new[1]:
        return f"{move.old[0]:g} -> {move.new[0]:g}"
    return f"{move.old[0]:g} of {move.old[1]:g} -> {move.new[0]:g} of {move.new[1]:g}"


def in_words(report: Any) -> list[str]:
    """Totals, what was done, and what comes next."""
    from grader.authoring.page import counted

    totals: dict[str, float] = {}
    for move in report.moves:
        totals[move.student] = totals.get(move.student, 0.0) + move.gain
    gain = [total for total in totals.values() if total > 1e-9]
    lose = [total for total in totals.values() if total < -1e-9]
    hidden = len(report.moves) - MOST_SHOWN
    lines = [f"{hidden} more changes are not shown; --csv FILE has them all."] if hidden > 0 else []
    lines.append(
        f"{counted(len(gain), 'student')} gain{'s' if len(gain) == 1 else ''} {counted(sum(gain), 'point')}, "
        f"{len(lose)} lose {-sum(lose):g}; "
        f"{len(report.executed)} were run again, {len(report.judged)} judged again from their kept answers, "
        f"{len(report.untouched)} untouched."
    )
    if report.never:
        lines.append(f"{len(report.never)} have not been graded yet: course grade takes them.")
    if report.again:
        lines.append(f"{len(report.again)} have handed in again since they were graded: course grade takes them.")
    if report.applied:
        lines.append("Gradebook and feedback are written; what teachers entered by hand has stayed.")
    elif report.executed or report.judged:
        lines.append("Nothing is written yet: --apply writes it.")
    return lines


def as_csv(report: Any) -> str:
    """All changes as CSV. A name that a spreadsheet would take for a formula gets an apostrophe in front."""
    from grader.teaching.report import printable

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["student", "exercise", "old", "old max", "new", "new max", "by hand", "why"])
    for move in report.moves:
        by_hand = "" if move.by_hand is None else f"{move.by_hand:g}"
        points = [f"{value:g}" for value in (*move.old, *move.new)]
        words = [printable(text) for text in (move.student, move.exercise, move.why)]
        student, exercise, why = (f"'{text}" if text[:1] in tuple("=+-@") else text for text in words)
        writer.writerow([student, exercise, *points, by_hand, why])
    return out.getvalue()
