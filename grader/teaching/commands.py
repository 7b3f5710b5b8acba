"""`course report`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from grader.teaching.options import CLASS_OPTION, DB_OPTION

LONG_CLASS = 60
"""Above this many students the terminal shows the summary alone."""


def _file(name: str, words: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(f"--{name}", f"{name}_path", type=click.Path(dir_okay=False, path_type=Path), help=words)


@click.command()
@click.argument("chapter_id", metavar="[CHAPTER]", required=False)
@CLASS_OPTION
@DB_OPTION
@_file("html", "Write all of it as one page that needs no network: sortable, searchable, with links to the feedback.")
@_file("json", "Write all of it as JSON; its form is grader/teaching/summary.schema.json and stays.")
@_file("csv", "Write the points as CSV.")
@_file("chart", "Draw the class per exercise, as PNG, SVG or PDF by the file's name.")
@click.option(
    "--no-compare",
    is_flag=True,
    help="Do not look for answers that are almost the same text: it takes some milliseconds a student.",
)
def report(
    chapter_id: str | None,
    folder: Path,
    db_url: str | None,
    html_path: Path | None,
    json_path: Path | None,
    csv_path: Path | None,
    chart_path: Path | None,
    no_compare: bool,
) -> None:
    """Show a graded class.

    For CHAPTER: the totals, how hard each exercise was, what was misunderstood, what was mended, whose work to
    look at and why, the slowest and hungriest, who is not graded and who handed in nothing. Without a chapter:
    the whole course by the gradebook alone, one column a chapter.

    Points come from the gradebook, so what was corrected by hand in formgrader counts. Up to 60 students are
    listed in the terminal; for more, use --html or --csv.
    """
    from rich.console import Console

    from grader.course import find_root, load_course
    from grader.errors import UsageError
    from grader.files import write_whole
    from grader.grading.classroom import open_classroom
    from grader.teaching.exporting import write_json
    from grader.teaching.page import write_page
    from grader.teaching.report import as_csv, as_table, draw_chart
    from grader.teaching.summary import chapter_summary, course_summary
    from grader.teaching.terminal import print_summary

    course = load_course(find_root())
    chapter = course.chapter(chapter_id) if chapter_id else None
    classroom = open_classroom(folder, db_url)
    if not classroom.is_graded:
        raise UsageError(f"there is no gradebook in {classroom.root} yet", "run `course grade CHAPTER` first")
    if chapter is not None:
        found = chapter_summary(course, chapter, classroom, compare=not no_compare)
    else:
        found = course_summary(course, classroom)
    console = Console()
    if len(found.report.rows) <= LONG_CLASS:
        console.print(as_table(found.report))
    print_summary(found, console)
    if html_path is not None:
        write_page(found, html_path, classroom.root, str(course.settings["course"].get("language", "en")))
    if json_path is not None:
        write_json(found, json_path)
    if csv_path is not None:
        write_whole(csv_path, as_csv(found.report))
    if chart_path is not None:
        draw_chart(found.report, chart_path)
    for path in filter(None, (html_path, json_path, csv_path, chart_path)):
        console.print(f"written: {path}", highlight=False, markup=False, soft_wrap=True)
