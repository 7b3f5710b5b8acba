"""A miniature course with a front page, and its two editions, each built once."""

import shutil
from pathlib import Path

import pytest

from grader.book.site import Site, build_site
from grader.course import Course, load_course

INDEX = "# Tiny Numbers by Hand\n\nHere you add and share.\n"
GUIDE = "# Writing\n\nA chapter is a page of Markdown.\n"


@pytest.fixture(scope="session")
def mini_root(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A copy of the miniature course, with the pages that a book needs. Copy it to change it."""
    root = tmp_path_factory.mktemp("book") / "course"
    shutil.copytree(repository / "tests/grader/fixtures/mini", root, ignore=shutil.ignore_patterns("build"))
    (root / "book" / "index.md").write_text(INDEX, encoding="utf-8")
    (root / "book" / "making").mkdir()
    (root / "book" / "making" / "writing-an-exercise.md").write_text(GUIDE, encoding="utf-8")
    (root / "book" / "teaching").mkdir()
    (root / "book" / "teaching" / "term.md").write_text("# A term\n\nFrom release to marks.\n", encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def mini(mini_root: Path) -> Course:
    return load_course(mini_root)


@pytest.fixture(scope="session")
def student_site(mini: Course) -> Site:
    """The published edition of the miniature course."""
    return build_site(mini)


@pytest.fixture(scope="session")
def instructor_site(mini: Course, student_site: Site) -> Site:
    """The edition with answers; the outputs come from the published edition's run."""
    return build_site(mini, with_solutions=True)
