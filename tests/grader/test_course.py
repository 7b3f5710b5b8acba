"""course.toml: every mistake in it is named with the remedy, and the library slice hides what it must."""

import re
import shutil

import pytest

from grader.course import find_root, load_course
from grader.errors import AuthoringError, NoSuchChapter, UsageError

TOML = """
[course]
title = "T"
slug = "t"
author = "A"
edition = "1"
[library]
package = "hand"
root = "lib"
floor = ["hand", "hand.base", "hand.base.*"]
[budget]
cell_seconds = 5
[[chapters]]
id = "01-one"
title = "One"
points = 2
owns = ["hand.one"]
[[chapters]]
id = "02-two"
title = "Two"
points = 3
owns = ["hand.two"]
[chapters.budget]
cell_seconds = 9
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "course.toml").write_text(TOML)
    for name in (
        "__init__",
        "base/__init__",
        "base/deep",
        "one",
        "two",
        "data/merges.json",
        "__pycache__/one.pyc",
    ):
        path = tmp_path / "lib" / "hand" / (name if "." in name else f"{name}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path


def test_a_chapter_sees_the_floor_and_what_earlier_chapters_built(root):
    course = load_course(root)
    first, second = ([str(path) for path in course.library_files(chapter)] for chapter in course.chapters)
    floor = ["hand/__init__.py", "hand/base/__init__.py", "hand/base/deep.py", "hand/data/merges.json"]
    assert first == sorted(floor)
    assert second == sorted([*floor, "hand/one.py"])
    assert len(course.library_files()) == 6


def test_a_bonus_chapter_says_so_beside_its_points(root):
    (root / "course.toml").write_text(TOML.replace("points = 3", "points = 3\nbonus = true"))
    plain, bonus = load_course(root).chapters
    assert (plain.bonus, plain.heading, plain.worth) == (False, "One", "2 points")
    assert (bonus.bonus, bonus.heading, bonus.worth) == (True, "Two (bonus)", "3 bonus points")


def test_large_data_goes_to_the_chapters_that_ask_for_it(root):
    (root / "lib" / "hand" / "data" / "weights").mkdir()
    for name in ("small.json", "large.bin", "other.bin"):
        (root / "lib" / "hand" / "data" / "weights" / name).write_text("")
    text = TOML.replace("[[chapters]]", '[[chapters]]\nneeds = ["hand/data/weights/large*"]', 1)
    text = text.replace("[library]", '[library]\non_request = ["hand/data/weights/*"]')
    (root / "course.toml").write_text(text)
    load_course.cache_clear()
    course = load_course(root)
    first, second = ({path.name for path in course.library_files(chapter)} for chapter in course.chapters)
    assert {"merges.json", "large.bin"} <= first
    assert not {"small.json", "other.bin"} & first
    assert "merges.json" in second
    assert "large.bin" not in second
    assert {"small.json", "large.bin", "other.bin"} <= {path.name for path in course.library_files()}


def test_a_budget_is_the_courses_unless_the_chapter_sets_its_own(root):
    course = load_course(root)
    assert [chapter.budget.cell_seconds for chapter in course.chapters] == [5, 9]
    assert course.chapters[1].budget.total_seconds == 600


def test_an_unknown_chapter_is_answered_with_those_there_are(root):
    with pytest.raises(NoSuchChapter, match=r"no chapter '03'[\s\S]*01-one, 02-two") as caught:
        load_course(root).chapter("03")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("pattern", "replacement", "words"),
    [
        (r"slug = .*", "slug = 'A b'", "course.slug"),
        (r"points = 2", "points = 0", "chapters.0.points"),
        (r"points = 2", "points = 2\nbonus = 1", "chapters.0.bonus"),
        (r"id = \"02-two\"", 'id = "01-one"', "two chapters have the id '01-one'"),
        (r"id = \"02-two\"", 'id = "two"', "chapters.1.id"),
        (r"\[budget\]", "[budget]\nfiles = 3", "'files' was unexpected"),
        (r"\[course\]", "[course", r"course.toml:2: not valid TOML"),
        (r"floor = .*", "", "'floor' is a required property"),
    ],
)
def test_a_mistake_in_course_toml_names_its_place(root, pattern, replacement, words):
    path = root / "course.toml"
    path.write_text(re.sub(pattern, replacement, path.read_text()))
    with pytest.raises(AuthoringError, match=re.escape(words)) as caught:
        load_course(root)
    assert caught.value.remedy
    assert caught.value.exit_code == 1


def test_the_root_is_found_from_below_and_its_absence_said(root, tmp_path_factory, monkeypatch):
    monkeypatch.delenv("COURSE_ROOT", raising=False)
    assert find_root(root / "lib" / "hand") == root
    with pytest.raises(UsageError, match=r"no course\.toml"):
        find_root(tmp_path_factory.mktemp("elsewhere"))
    shutil.rmtree(root / "lib")
    monkeypatch.setenv("COURSE_ROOT", str(root))
    assert find_root() == root
