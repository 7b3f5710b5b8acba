"""The authors' guide: its whole chapter, put into the miniature course, has no mistake and is proved."""

import doctest
import re
from pathlib import Path

import pytest

from grader.authoring.building import build
from grader.course import load_course
from grader.loading import load_module
from grader.proving.chapter import prove_chapter

from .conftest import Mini
from .guide import files_of_the_guide, prose_of_the_guide

FIGURES = "lib/byhand/widgets/"


@pytest.fixture
def guided(mini: Mini) -> Mini:
    """The miniature course with the guide's chapter, which names the real course's library."""
    for name, text in files_of_the_guide().items():
        if not name.startswith(FIGURES):
            path = mini.root / name.replace("byhand", "tinylib")
            path.parent.mkdir(parents=True, exist_ok=True)
            before = path.read_text(encoding="utf-8") + "\n" if path.exists() else ""
            path.write_text(before + text.replace("byhand", "tinylib"), encoding="utf-8", newline="\n")
    return mini


def test_the_guides_chapter_has_no_mistakes_and_builds(guided: Mini) -> None:
    assert [chapter.id for chapter in guided.course.chapters] == ["01-tiny", "17-small-changes"]
    assert guided.problems() == []
    written = build(guided.course, guided.course.chapters[1:])
    assert sorted(path.parent.parent.name for path in written) == ["chapters", "source"]


def test_the_guides_chapter_is_proved_with_every_mutant(guided: Mini) -> None:
    proof = prove_chapter(guided.course, guided.course.chapters[1], True, seeds=(1, 2))
    assert proof.all_problems == []
    (penalize,) = proof.exercises
    assert (penalize.reference, penalize.stub, penalize.library) == (2.0, 0.0, "yes")
    assert (penalize.mistakes, penalize.alternatives) == ((3, 3), (2, 2))
    assert penalize.mutants[0] == penalize.mutants[1] > 5


def test_the_guides_module_does_what_its_docstrings_show(guided: Mini) -> None:
    module = load_module(guided.root / "lib" / "tinylib" / "penalties.py")
    assert doctest.testmod(module) == (0, 1)


def test_the_guides_figure_does_what_its_docstring_shows(tmp_path: Path) -> None:
    """That it works in a browser is a test of the browser's."""
    (tmp_path / "figure.py").write_text(files_of_the_guide()[FIGURES + "penalties.py"], encoding="utf-8")
    assert doctest.testmod(load_module(tmp_path / "figure.py")) == (0, 1)


def test_commands_of_the_guide_name_chapters_that_are_there(repository: Path) -> None:
    known = {chapter.id for chapter in load_course(repository).chapters} | {"17-small-changes"}
    named = re.findall(r"(?:course \w+|-k)(?: --\w+)* (\d\d-[a-z0-9-]+)", prose_of_the_guide())
    assert len(named) > 5
    assert set(named) <= known
