"""A course of two chapters and a third still to be written, made of the miniature one; free to be spoilt."""

import shutil
from pathlib import Path

import pytest

from grader.authoring.building import build
from grader.course import Course, load_course

MINI = Path(__file__).resolve().parents[1] / "fixtures" / "mini"

MORE = """
[[chapters]]
id = "02-more"
title = "More of the same"
points = 3
hours = 2
owns = ["tinylib.spread"]

[[planned]]
id = "03-later"
owns = ["tinylib.later"]
"""

SPREAD = """\
def spread(numbers):
    return max(numbers) - min(numbers) + len(numbers)
"""
LATER = """\
def later(numbers):
    return [number for number in numbers if number > 12]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The course's folder, its student notebooks built."""
    root = tmp_path / "course"
    shutil.copytree(MINI, root, ignore=shutil.ignore_patterns("build", "__pycache__"))
    shutil.copytree(root / "solutions/01-tiny", root / "solutions/02-more")
    page = (root / "solutions/02-more/tiny.md").rename(root / "solutions/02-more/more.md")
    numbered = page.read_text(encoding="utf-8").replace("1.1", "2.1").replace("1.2", "2.2")
    page.write_text(numbered.replace("# Adding and sharing\n", "# More of the same\n"), encoding="utf-8")
    text = (root / "course.toml").read_text(encoding="utf-8") + MORE
    text = text.replace("[library]", '[library]\non_request = ["tinylib/data/weights/*"]')
    text = text.replace('owns = ["tinylib.sharing"]', 'owns = ["tinylib.sharing"]\nneeds = ["tinylib/data/weights/a*"]')
    (root / "course.toml").write_text(text, encoding="utf-8")
    library = root / "lib" / "tinylib"
    (library / "spread.py").write_text(SPREAD, encoding="utf-8")
    (library / "later.py").write_text(LATER, encoding="utf-8")
    (library / "data" / "weights").mkdir(parents=True)
    for name in ("a.bin", "b.bin"):
        (library / "data" / "weights" / name).write_bytes(b"\x00\x01" + name.encode())
    (root / "LICENSE").write_text("Do as you like.\n", encoding="utf-8")
    course = load_course(root)
    build(course, course.chapters)
    return root


@pytest.fixture
def course(root: Path) -> Course:
    return load_course(root)
