"""`course demo`: from a chapter to a graded class that did what it should."""

from pathlib import Path

import click

WIDE = 170
"""Columns of a table of every chapter where it is not shown in a terminal."""


@click.command()
@click.argument("chapter_ids", metavar="[CHAPTER]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every chapter, one after another: some two minutes each.")
@click.option(
    "--class",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("class"),
    show_default=True,
    help="The class folder to make. It may hold an earlier demo, never a real class.",
)
@click.option("--workers", type=click.IntRange(1), help="Submissions graded at one time. Default: the processors.")
def demo(chapter_ids: tuple[str, ...], every: bool, folder: Path, workers: int | None) -> None:
    """Make a class of twenty, grade it, and see that each student got what was deserved.

    The class is made from each CHAPTER itself (the first one by default): right answers, right ones written
    another way, half of them, the chapter's own list of mistakes, an untouched notebook, one that prints
    warnings, damaged ones, one that is no notebook, and five that attack the grader. Then it is graded like
    any class.

    Several chapters end with one table, students by chapters, which is also written to scoreboard.csv in the
    class folder.

    Ends with exit code 1 when a student got other points than deserved, when anything hidden stands in what a
    student gets back, or when an attack got or left anything.
    """
    from rich.console import Console

    from grader.authoring.page import counted
    from grader.course import find_root, load_course
    from grader.demo.performance import perform
    from grader.demo.scoreboard import board_csv, show_board, show_outcome
    from grader.errors import CourseError, UsageError
    from grader.files import write_whole

    if every and chapter_ids:
        raise UsageError("--all and a chapter are given", "leave out one of them")
    course = load_course(find_root())
    chapters = course.chapters if every else [course.chapter(name) for name in chapter_ids] or course.chapters[:1]
    console = Console()
    outcomes = {}
    for chapter in chapters:
        outcomes[chapter.id] = perform(course, chapter, folder, workers, lambda words: click.echo(words, err=True))
        if len(chapters) == 1:
            show_outcome(outcomes[chapter.id], console)
    if len(chapters) > 1:
        # a table of sixteen chapters wants a wide page; in a file it has one
        show_board(outcomes, console if console.is_terminal else Console(width=WIDE))
        board = folder / "scoreboard.csv"
        write_whole(board, board_csv(outcomes))
        click.echo(f"scoreboard: {board}")
    count = sum(len(outcome.differences) for outcome in outcomes.values())
    if count:
        words = f"the demo ended with {counted(count, 'difference')} from what should be"
        raise CourseError(words, "see the lines above that begin with ✗")
