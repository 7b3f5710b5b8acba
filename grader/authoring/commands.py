"""`course check` and `course build`."""

from typing import NoReturn

import click

from grader.course import Chapter, Course


@click.command()
@click.argument("chapters", nargs=-1, metavar="[CHAPTER]...")
def check(chapters: tuple[str, ...]) -> None:
    """Check the sources of all chapters, or of those named.

    Prints every mistake as `file:line: problem` with the remedy below it, and ends with exit code 1 if there
    is one. Cells, tags, labels and points are checked, exercise cards, hidden checks and their probes,
    imports of the library, links, citations and images.
    """
    course, selected = _select(chapters)
    _refuse_mistakes(course, selected)
    for chapter in selected:
        click.echo(f"{chapter.id}: no mistakes")


@click.command()
@click.argument("chapters", nargs=-1, metavar="[CHAPTER]...")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; say whether chapters/ is fresh.")
def build(chapters: tuple[str, ...], only_check: bool) -> None:
    """Build the notebooks of all chapters, or of those named.

    From each page in solutions/ come nbgrader's source notebook (build/source/, with solutions and hidden
    tests, never published) and the student notebook (chapters/, committed, never edited). A second build
    gives the same bytes. If any page has a mistake, nothing is written.

    With --check nothing is written: each notebook in chapters/ that differs from what would be built is
    named, and the exit code is 1.
    """
    from grader.authoring.building import build as write_notebooks
    from grader.authoring.building import stale

    course, selected = _select(chapters)
    _refuse_mistakes(course, selected)
    if only_check:
        words = stale(course, selected)
        if words:
            _end("\n".join(words))
        click.echo("chapters/ is fresh")
        return
    changed = write_notebooks(course, selected)
    for path in changed:
        click.echo(f"wrote {path.relative_to(course.root)}")
    if not changed:
        click.echo("nothing to do: every notebook is fresh")


def _select(chapters: tuple[str, ...]) -> tuple[Course, list[Chapter]]:
    from grader.course import find_root, load_course

    course = load_course(find_root())
    return course, [course.chapter(name) for name in chapters] or list(course.chapters)


def _refuse_mistakes(course: Course, chapters: list[Chapter]) -> None:
    from grader.authoring.checking import check_course
    from grader.authoring.page import counted

    mistakes = check_course(course, chapters)
    if mistakes:
        _end("\n".join([*map(str, mistakes), counted(len(mistakes), "mistake")]))


def _end(words: str) -> NoReturn:
    click.echo(words, err=True)
    raise SystemExit(1)
