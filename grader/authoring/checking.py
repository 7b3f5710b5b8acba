"""All rules of a chapter together, and the loader for everybody who needs the page."""

from collections.abc import Sequence

from grader.authoring.page import Page, read_page
from grader.authoring.problems import Problems
from grader.course import Chapter, Course
from grader.errors import AuthoringError


def check_chapter(course: Course, chapter: Chapter) -> list[AuthoringError]:
    """Every mistake in a chapter's sources, by file and line; empty for a chapter that can be built."""
    from grader.authoring.hidden_rules import check_hidden

    problems = Problems(course.root)
    page = _checked_page(course, chapter, problems)
    if page is not None:
        check_hidden(page, problems)
    return problems.in_order()


def check_course(course: Course, chapters: Sequence[Chapter]) -> list[AuthoringError]:
    """Every mistake in these chapters' sources; of all chapters, also folders that are none and no draft of one."""
    problems = Problems(course.root)
    listed = {chapter.id for chapter in course.chapters}
    drafts = {planned["id"] for planned in course.settings.get("planned", ())}
    if listed == {chapter.id for chapter in chapters}:
        for folder in sorted((course.root / "solutions").glob("*/")):
            if folder.name not in listed | drafts and any(path.is_file() for path in folder.iterdir()):
                remedy = "add the chapter's row (of a draft: a row of [[planned]]), or remove the folder"
                problems.add(folder, None, "the folder is no chapter of course.toml", remedy)
    return [
        *problems.in_order(),
        *(error for chapter in chapters for error in check_chapter(course, chapter)),
    ]


def load_page(course: Course, chapter: Chapter) -> Page:
    """The page of a chapter, sound as far as it can be told without its hidden checks.

    Raises:
        AuthoringError: the first mistake; `course check` shows all.
    """
    problems = Problems(course.root)
    page = _checked_page(course, chapter, problems)
    for error in problems.in_order():
        raise error
    assert page is not None, "a page that cannot be read has a problem"
    return page


def _checked_page(course: Course, chapter: Chapter, problems: Problems) -> Page | None:
    from grader.authoring.cell_rules import check_cells
    from grader.authoring.experiment_rules import check_experiments
    from grader.authoring.import_rules import check_imports
    from grader.authoring.prose_rules import Prose

    page = read_page(course, chapter, problems)
    if page is not None:
        check_cells(page, problems)
        check_experiments(page, problems)
        check_imports(course, page, problems)
        Prose(course, page, problems).check()
    return page
