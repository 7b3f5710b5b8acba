"""`course report`."""

from pathlib import Path
from typing import Any

import click

from grader.teaching.options import CLASS_OPTION, DB_OPTION


@click.command()
@click.argument("chapter_id", metavar="[CHAPTER]", required=False)
@CLASS_OPTION
@DB_OPTION
@click.option("--csv", "csv_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the table as CSV.")
@click.option(
    "--chart",
    "chart_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the class per exercise, as PNG, SVG or PDF by the file's name.",
)
def report(
    chapter_id: str | None, folder: Path, db_url: str | None, csv_path: Path | None, chart_path: Path | None
) -> None:
    """Show a class: points of each student per exercise of CHAPTER, or per chapter when none is named.

    Scores come from the gradebook, so what was corrected by hand in formgrader counts.
    """
    from rich.console import Console

    from grader.course import find_root, load_course
    from grader.errors import UsageError
    from grader.files import write_whole
    from grader.grading.classroom import open_classroom
    from grader.teaching.report import as_csv, as_table, chapter_report, course_report, draw_chart

    course = load_course(find_root())
    chapter = course.chapter(chapter_id) if chapter_id else None
    classroom = open_classroom(folder, db_url)
    if not classroom.is_graded:
        raise UsageError(f"there is no gradebook in {classroom.root} yet", "run `course grade CHAPTER` first")
    if chapter is not None:
        found = chapter_report(classroom.db_url, chapter.id, chapter.title, _names(course, chapter))
    else:
        title = str(course.settings["course"]["title"])
        found = course_report(classroom.db_url, title, {each.id: each.title for each in course.chapters})
    Console().print(as_table(found))
    if csv_path is not None:
        write_whole(csv_path, as_csv(found))
    if chart_path is not None:
        draw_chart(found, chart_path)


def _names(course: Any, chapter: Any) -> dict[str, str]:
    """Number and title of each exercise by the grade id that carries its points."""
    from grader.authoring.checking import load_page

    return {
        exercise.label if exercise.essay else f"{exercise.label}-checks": f"{exercise.number} {exercise.title}"
        for exercise in load_page(course, chapter).exercises
    }
