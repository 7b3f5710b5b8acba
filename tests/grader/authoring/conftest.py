"""A copy of the miniature course for each test, to be edited as an author would."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from grader.authoring.checking import check_course
from grader.course import Chapter, Course, load_course
from grader.errors import AuthoringError

MINI = Path(__file__).resolve().parent.parent / "fixtures" / "mini"


@dataclass
class Mini:
    root: Path

    @property
    def course(self) -> Course:
        load_course.cache_clear()
        return load_course(self.root)

    @property
    def chapter(self) -> Chapter:
        return self.course.chapters[0]

    @property
    def page(self) -> Path:
        return self.chapter.page

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")

    def append(self, text: str) -> None:
        self.page.write_text(self.page.read_text(encoding="utf-8") + text, encoding="utf-8", newline="\n")

    def line(self, name: str, text: str) -> int:
        """The number of the first line that holds the text."""
        lines = (self.root / name).read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)

    def problems(self) -> list[AuthoringError]:
        return check_course(self.course, self.course.chapters)

    def second_chapter(self, text: str = "") -> None:
        """Add a chapter 02-more without exercises' checks, for links between chapters."""
        row = '\n[[chapters]]\nid = "02-more"\ntitle = "More"\npoints = 1\n'
        (self.root / "course.toml").write_text((self.root / "course.toml").read_text() + row)
        folder = self.root / "solutions" / "02-more"
        folder.mkdir()
        head = self.page.read_text(encoding="utf-8").split("# Adding")[0]
        (folder / "more.md").write_text(f"{head}# More\n\n(beyond)=\n## Beyond sums\n\n{text}\n", encoding="utf-8")


@pytest.fixture
def mini(tmp_path: Path) -> Mini:
    root = tmp_path / "course"
    shutil.copytree(MINI, root, ignore=shutil.ignore_patterns("__pycache__"))
    return Mini(root)
