"""`course demo`: from a chapter to a graded class that did what it should."""

from pathlib import Path

import click


@click.command()
@click.argument("chapter_id", metavar="[CHAPTER]", required=False)
@click.option(
    "--class",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("class"),
    show_default=True,
    help="The class folder to make. It may hold an earlier demo, never a real class.",
)
@click.option("--workers", type=click.IntRange(1), help="Submissions graded at one time. Default: the processors.")
def demo(chapter_id: str | None, folder: Path, workers: int | None) -> None:
    """Make a small class, grade it, and see that each student got what was deserved.

    The class is made from CHAPTER itself (the first one by default): right answers, right ones written
    another way, half of them, the chapter's own list of mistakes, an untouched notebook, one that prints
    warnings, damaged ones, one that is no notebook, and three that attack the grader. Then it is graded like
    any class.

    Ends with exit code 1 when a student got other points than deserved, when anything hidden stands in what a
    student gets back, or when an attack got or left anything.
    """
    from rich.console import Console

    from grader.course import find_root, load_course
    from grader.demo.performance import perform
    from grader.demo.scoreboard import show_outcome
    from grader.errors import CourseError

    course = load_course(find_root())
    chapter = course.chapter(chapter_id) if chapter_id else course.chapters[0]
    outcome = perform(course, chapter, folder, workers, tell=lambda words: click.echo(words, err=True))
    show_outcome(outcome, Console())
    count = len(outcome.differences)
    if count:
        raise CourseError(f"the demo differs from what was deserved in {count} points", "see ✗ above")
