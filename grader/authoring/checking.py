"""All rules of a chapter together, and the loader for everybody who needs the page."""

from collections.abc import Iterable

from grader.authoring.page import Page, read_page
from grader.authoring.problems import Problems
from grader.course import Chapter, Course
from grader.errors import AuthoringError


def check_chapter(course: Course, chapter: Chapter) -> list[AuthoringError]:
    """Every mistake in a chapter's sources, by file and line; empty for a chapter that can be built."""
    from grader.authoring.cell_rules import check_cells
    from grader.authoring.hidden_rules import check_hidden
    from grader.authoring.import_rules import check_imports
    from grader.authoring.prose_rules import Prose

    problems = Problems(course.root)
    page = read_page(course, chapter, problems)
    if page is not None:
        check_cells(page, problems)
        check_imports(course, page, problems)
        Prose(course, page, problems).check()
        check_hidden(page, problems)
    return problems.in_order()


def check_course(course: Course, chapters: Iterable[Chapter]) -> list[AuthoringError]:
    """Every mistake in these chapters' sources, and folders of solutions that no chapter owns."""
    problems = Problems(course.root)
    listed = {chapter.id for chapter in course.chapters}
    for folder in sorted((course.root / "solutions").glob("*/")):
        if folder.name not in listed and not folder.name.startswith((".", "_")):
            problems.add(
                folder,
                None,
                "the folder is no chapter of course.toml",
                "add the chapter's row, or remove the folder",
            )
    return [
        *problems.in_order(),
        *(error for chapter in chapters for error in check_chapter(course, chapter)),
    ]


def load_page(course: Course, chapter: Chapter) -> Page:
    """The page of a chapter whose cells and exercise cards keep the rules.

    Raises:
        AuthoringError: the first mistake; `course check` shows all.
    """
    from grader.authoring.cell_rules import check_cells

    problems = Problems(course.root)
    page = read_page(course, chapter, problems)
    if page is not None:
        check_cells(page, problems)
    for error in problems.in_order():
        raise error
    assert page is not None, "a page that cannot be read has a problem"
    return page
