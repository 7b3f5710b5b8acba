"""Writing the notebooks, and telling whether the committed ones are fresh."""

from collections.abc import Iterable
from pathlib import Path

from grader.course import Chapter, Course
from grader.files import write_whole


def build(course: Course, chapters: Iterable[Chapter]) -> list[Path]:
    """Write the source and the student notebook of each chapter; the files that changed come back.

    Nothing is written before all of them are made.

    Raises:
        AuthoringError: when a chapter's sources break a rule.
    """
    made = {path: text for chapter in chapters for path, text in _notebooks(course, chapter).items()}
    changed = [path for path, text in made.items() if not _holds(path, text)]
    for path in changed:
        write_whole(path, made[path])
    return changed


def stale(course: Course, chapters: Iterable[Chapter]) -> list[str]:
    """What is wrong with the committed notebooks, in words; nothing is written. Empty when they are fresh."""
    from grader.authoring.notebooks import as_text, student_notebook

    words = []
    for chapter in chapters:
        path = course.student_notebook(chapter)
        if not _holds(path, as_text(student_notebook(course, chapter))):
            words.append(f"stale: {path.relative_to(course.root)} - run `course build`")
    owned = {course.student_notebook(chapter) for chapter in course.chapters}
    for folder in sorted((course.root / "chapters").glob("*/")):
        if folder not in {path.parent for path in owned}:
            words.append(f"unowned: {folder.relative_to(course.root)} - no chapter of course.toml is built there")
            continue
        for path in sorted(folder.glob("*.ipynb")):
            if path not in owned:
                words.append(f"unowned: {path.relative_to(course.root)} - `course build` does not make it")
    return words


def _notebooks(course: Course, chapter: Chapter) -> dict[Path, str]:
    from grader.authoring.notebooks import as_text, hand_out, source_notebook

    source = source_notebook(course, chapter)
    return {
        course.source_notebook(chapter): as_text(source),
        course.student_notebook(chapter): as_text(hand_out(source)),
    }


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()
