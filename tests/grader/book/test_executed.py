"""A chapter is run once for each state of its code, library and packages; a failing cell stops the build."""

import shutil
from pathlib import Path

import pytest

from grader.authoring.notebooks import book_notebook
from grader.book.executed import cache_key, execute, line_of
from grader.course import Course, load_course
from grader.errors import AuthoringError
from tests.grader.editing import edit


@pytest.fixture
def course(mini_root: Path, tmp_path: Path) -> Course:
    root = tmp_path / "course"
    shutil.copytree(mini_root, root, ignore=shutil.ignore_patterns("build"))
    return load_course(root)


def test_outputs_are_kept_until_code_or_library_or_packages_change(course: Course) -> None:
    chapter = course.chapters[0]
    notebook = book_notebook(course, chapter)
    key = cache_key(course, chapter, notebook)
    seen: list[tuple[int, int]] = []
    first = execute(course, chapter, notebook, lambda done, total: seen.append((done, total)))
    assert seen == [(done, 5) for done in range(6)]
    assert not first.cached
    assert first.outputs[0][0]["text"] == "3 numbers\n"
    edit(chapter.page, "A sum is the whole", "The sum is the whole")
    again = execute(course, chapter, book_notebook(course, chapter), lambda done, total: pytest.fail("it ran again"))
    assert again.cached
    assert again.outputs == first.outputs
    assert again.seconds == pytest.approx(first.seconds)

    instructors = book_notebook(course, chapter, with_solutions=True)
    assert cache_key(course, chapter, instructors) == key, "both editions share their outputs"
    edit(course.root / "lib/tinylib/sharing.py", '"""', '"""Now: ')
    assert cache_key(course, chapter, notebook) == key, "a later module decides nothing"
    edit(course.root / "lib/tinylib/__init__.py", "The floor of", "The ground floor of")
    library = cache_key(course, chapter, notebook)
    (course.root / "constraints.txt").write_text("numpy==1\n", encoding="utf-8")
    packages = cache_key(course, chapter, notebook)
    edit(chapter.page, "total += number", "total = total + number")
    assert len({key, library, packages, cache_key(course, chapter, book_notebook(course, chapter))}) == 4


def test_a_failing_cell_stops_the_build_with_its_place_and_error_even_where_students_may_fail(
    course: Course,
) -> None:
    chapter = course.chapters[0]
    edit(chapter.page, "    return total\n", "    return total + 1\n")
    notebook = book_notebook(course, chapter)
    for cell in notebook.cells:
        cell.metadata["tags"] = ["raises-exception"]
    with pytest.raises(AuthoringError) as caught:
        execute(course, chapter, notebook)
    line = chapter.page.read_text(encoding="utf-8").split("\n").index("def check_add_up(add_up):") + 1
    assert str(caught.value).startswith(f"{chapter.page}:{line}: ")
    assert "add-up-checks" in str(caught.value)
    assert "AssertionError: 1 and 2.5 are 3.5 together" in str(caught.value)
    assert not list((course.build / "book" / "executed").glob("*"))


def test_a_cell_that_ends_the_kernel_is_named(course: Course) -> None:
    chapter = course.chapters[0]
    edit(chapter.page, "print(tinylib.describe([1.0, 2.0, 3.0]))", "import os\n\nos._exit(3)")
    with pytest.raises(AuthoringError, match="ended the kernel"):
        execute(course, chapter, book_notebook(course, chapter))


def test_the_place_of_a_line_is_told_only_where_it_is_certain(course: Course) -> None:
    page = course.chapters[0].page
    lines = page.read_text(encoding="utf-8").split("\n")
    assert line_of(page, "The sum of no numbers is 0.\n") == lines.index("The sum of no numbers is 0.") + 1
    assert line_of(page, "not there at all") is None
