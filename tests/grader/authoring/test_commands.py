"""`course check` and `course build`: what they print, what they write, and nothing written by halves."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from grader.authoring.commands import build, check
from grader.errors import NoSuchChapter

PAGE = "solutions/01-tiny/tiny.md"


@pytest.fixture
def course(mini, monkeypatch):
    """Run a command inside the course: `course(check, "01-tiny")`."""
    from grader.course import load_course

    monkeypatch.setenv("COURSE_ROOT", str(mini.root))

    def run(command, *arguments):
        load_course.cache_clear()
        return CliRunner().invoke(command, arguments)

    return run


def files(mini):
    return {path.relative_to(mini.root).as_posix(): path.read_bytes() for path in mini.root.rglob("*.ipynb")}


def test_check_says_that_a_chapter_has_no_mistakes(course):
    ran = course(check)
    assert (ran.exit_code, ran.stdout) == (0, "01-tiny: no mistakes\n")


def test_check_prints_every_mistake_with_its_remedy_and_fails(mini, course):
    mini.edit(PAGE, "[answer]", "[answer, grade]")
    mini.edit(PAGE, "{quiz}", "{poll}")
    ran = course(check)
    assert ran.exit_code == 1
    assert ran.stdout == ""
    assert f"{PAGE}:41: unknown tag 'grade'\n  remedy: use answer, checks" in ran.stderr
    assert f"{PAGE}:124: no rule for the directive {{poll}}" in ran.stderr
    assert ran.stderr.endswith("2 mistakes\n")


@pytest.mark.parametrize("command", [check, build])
def test_a_chapter_that_is_not_there_is_a_usage_error(mini, course, command):
    ran = course(command, "07-none")
    assert isinstance(ran.exception, NoSuchChapter)
    assert ran.exception.exit_code == 2
    assert files(mini) == {}


def test_a_second_build_writes_nothing_and_leaves_the_same_bytes(mini, course):
    assert course(build).stdout == "wrote build/source/01-tiny/tiny.ipynb\nwrote chapters/01-tiny/tiny.ipynb\n"
    first = files(mini)
    assert set(first) == {"build/source/01-tiny/tiny.ipynb", "chapters/01-tiny/tiny.ipynb"}
    times = [path.stat().st_mtime_ns for path in mini.root.rglob("*.ipynb")]
    assert course(build).stdout == "nothing to do: every notebook is fresh\n"
    assert files(mini) == first
    assert [path.stat().st_mtime_ns for path in mini.root.rglob("*.ipynb")] == times


def test_notebooks_are_utf8_with_plain_newlines_on_every_system(mini, course):
    mini.edit(PAGE, "A sum is", "Σ — a sum — is")
    course(build)
    for data in files(mini).values():
        assert b"\r" not in data
        assert "Σ — a sum".encode() in data


def test_pages_with_windows_line_ends_give_the_same_notebooks(mini, course):
    course(build)
    before = files(mini)
    mini.page.write_bytes(mini.page.read_bytes().replace(b"\n", b"\r\n"))
    course(build)
    assert files(mini) == before


def test_a_mistake_anywhere_keeps_every_notebook_as_it_was(mini, course):
    course(build)
    before = files(mini)
    mini.edit(PAGE, "A sum is", "The sum is")
    mini.edit("solutions/01-tiny/hidden.py", '"all zero": 1.0', '"all zero": 2.0')
    ran = course(build)
    assert ran.exit_code == 1
    assert "the criteria of 'shares' sum to 3 points" in ran.stderr
    assert files(mini) == before


def test_an_interrupted_write_leaves_the_old_file_and_nothing_beside_it(mini, course, monkeypatch):
    course(build)
    before = {path for path in mini.root.rglob("*") if "__pycache__" not in path.parts}
    texts = files(mini)
    mini.edit(PAGE, "A sum is", "The sum is")

    def full(self, target):
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert isinstance(course(build).exception, OSError)
    assert files(mini) == texts
    assert {path for path in mini.root.rglob("*") if "__pycache__" not in path.parts} == before


def test_build_check_is_content_with_fresh_notebooks(mini, course):
    course(build)
    ran = course(build, "--check")
    assert (ran.exit_code, ran.stdout) == (0, "chapters/ is fresh\n")


def test_build_check_names_a_stale_notebook_and_writes_nothing(mini, course):
    course(build)
    mini.edit(PAGE, "A sum is", "The sum is")
    before = files(mini)
    ran = course(build, "--check")
    assert ran.exit_code == 1
    assert ran.stderr == "stale: chapters/01-tiny/tiny.ipynb - run `course build`\n"
    assert files(mini) == before


def test_build_check_names_a_missing_notebook(mini, course):
    ran = course(build, "--check")
    assert ran.exit_code == 1
    assert "stale: chapters/01-tiny/tiny.ipynb" in ran.stderr
    assert files(mini) == {}


def test_build_check_names_what_no_chapter_owns(mini, course):
    course(build)
    (mini.root / "chapters" / "09-old").mkdir()
    (mini.root / "chapters" / "01-tiny" / "copy.ipynb").write_text("{}")
    ran = course(build, "--check")
    assert ran.exit_code == 1
    assert "unowned: chapters/09-old - no chapter of course.toml is built there\n" in ran.stderr
    assert "unowned: chapters/01-tiny/copy.ipynb - `course build` does not make it\n" in ran.stderr


def test_only_the_named_chapter_is_built(mini, course):
    mini.second_chapter()
    assert course(build, "01-tiny").exit_code == 0
    assert course(build, "02-more").exit_code == 1


def test_help_needs_no_notebook_library():
    heavy = ["jupytext", "nbformat", "nbgrader", "IPython", "pybtex", "torch", "numpy", "markdown_it"]
    program = f"import sys, grader.authoring.commands; print(*[m for m in {heavy!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
