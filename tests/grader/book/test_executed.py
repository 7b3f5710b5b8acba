"""A chapter is run once for each state of its code, library and packages; a failing cell stops the build."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from grader.authoring.notebooks import book_notebook
from grader.book.executed import Run, cache_key, execute, execute_all, line_of
from grader.course import Chapter, Course, load_course
from grader.errors import AuthoringError, CourseError
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
    (course.root / "constraints.txt").write_text("numpy==1\npypdf==2\n", encoding="utf-8")
    assert cache_key(course, chapter, notebook) == packages, "what reads finished files changes no cell"
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


PRINTS = "print(tinylib.describe([1.0, 2.0, 3.0]))"

MEETS = """import pathlib, time

pathlib.Path("MINE").touch()
while not pathlib.Path("OTHER").exists():
    time.sleep(0.05)
while TURNS and time.process_time() < TURNS:
    pass
"""

NEVER_ENDS = """import os, pathlib, subprocess, time

child = subprocess.Popen(["sleep", "1000"])
pathlib.Path("MINE").write_text(f"{os.getpid()} {child.pid}")
pathlib.Path("MINE").rename("MINE.done")
time.sleep(1000)
"""


@pytest.fixture
def several(course: Course) -> Callable[..., list[tuple[Chapter, Any]]]:
    """As many chapters as cells are given, all like the first one, each with that cell in place of a small one."""

    def make(*cells: str) -> list[tuple[Chapter, Any]]:
        first = course.chapters[0]
        made = []
        for name, cell in zip("abc", cells, strict=False):
            folder = course.root / "solutions" / f"01-tiny-{name}"
            shutil.copytree(first.folder, folder)
            (folder / "tiny.md").rename(folder / f"tiny-{name}.md")
            chapter = replace(first, id=folder.name, folder=folder)
            edit(chapter.page, PRINTS, cell)
            made.append((chapter, book_notebook(course, chapter)))
        return made

    return make


def test_chapters_run_side_by_side_and_each_is_told_its_own_processor_time(
    course: Course, several: Callable[..., list[tuple[Chapter, Any]]], tmp_path: Path
) -> None:
    def meets(mine: str, other: str, turns: int) -> str:
        cell = MEETS.replace("MINE", str(tmp_path / mine)).replace("OTHER", str(tmp_path / other))
        return cell.replace("TURNS", str(turns))

    ended: list[str] = []
    seen: set[str] = set()
    runs = execute_all(
        course,
        several(meets("a", "b", 6), meets("b", "a", 0)),
        jobs=2,
        announce=lambda chapter, done, total: seen.add(f"{chapter.id} {done}/{total}"),
        ended=lambda chapter, run: ended.append(chapter.id),
    )
    assert len(runs) == 2
    assert runs[0].seconds >= 6
    assert 0 < runs[1].seconds < 6, "the other chapter's time is not this one's"
    assert sorted(ended) == ["01-tiny-a", "01-tiny-b"]
    assert {"01-tiny-a 0/5", "01-tiny-a 5/5", "01-tiny-b 0/5", "01-tiny-b 5/5"} <= seen


def test_every_failing_chapter_is_named_and_the_others_are_kept(
    course: Course, several: Callable[..., list[tuple[Chapter, Any]]]
) -> None:
    notebooks = several("raise ValueError('the first')", PRINTS, "raise KeyError('the last')")
    kept: list[tuple[str, Run]] = []
    with pytest.raises(CourseError) as caught:
        execute_all(course, notebooks, jobs=2, ended=lambda chapter, run: kept.append((chapter.id, run)))
    words = str(caught.value)
    assert "2 chapters do not run" in words
    assert words.index("tiny-a.md:") < words.index("ValueError: the first") < words.index("tiny-c.md:")
    assert "KeyError: 'the last'" in words
    assert [name for name, _ in kept] == ["01-tiny-b"]
    assert execute(course, *notebooks[1]).cached


def test_ctrl_c_leaves_no_kernel_and_nothing_that_a_kernel_has_started(
    course: Course, several: Callable[..., list[tuple[Chapter, Any]]], tmp_path: Path
) -> None:
    places = [tmp_path / name for name in ("a", "b")]
    done = [place.with_name(f"{place.name}.done") for place in places]

    def interrupt() -> None:
        while not all(place.exists() for place in done):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt, daemon=True)
    watcher.start()
    notebooks = several(*(NEVER_ENDS.replace("MINE", str(place)) for place in places), PRINTS)
    with pytest.raises(KeyboardInterrupt):
        execute_all(course, notebooks, jobs=2)
    running = [int(word) for place in done for word in place.read_text().split()]
    assert len(running) == 4
    alive = [pid for pid in running if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    assert not alive
    assert not (course.build / "book" / "kernel-01-tiny-c.log").exists(), "a chapter that waited has begun"


def test_the_place_of_a_line_is_told_only_where_it_is_certain(course: Course) -> None:
    page = course.chapters[0].page
    lines = page.read_text(encoding="utf-8").split("\n")
    assert line_of(page, "The sum of no numbers is 0.\n") == lines.index("The sum of no numbers is 0.") + 1
    assert line_of(page, "not there at all") is None
