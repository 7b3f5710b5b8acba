"""The class folder, the gradebook, and what is said when they cannot be used."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.errors import AuthoringError, EnvironmentProblem, UsageError
from grader.execution.plan import Outcome
from grader.grading.classroom import CONFIG_HEADER, open_classroom

from .conftest import Workshop


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_folder_without_submitted_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder") as caught:
        open_classroom(tmp_path / "nowhere")
    assert "submitted/STUDENT/CHAPTER/" in caught.value.remedy
    assert not (tmp_path / "nowhere").exists()


def corrupt(path: Path) -> str:
    path.write_bytes(b"no database" * 1000)
    return f"sqlite:///{path}"


def of_another_kind(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        connection.execute("create table recipes (name text)")
    return f"sqlite:///{path}"


def a_folder(path: Path) -> str:
    path.mkdir()
    return f"sqlite:///{path}"


def nowhere(path: Path) -> str:
    return f"sqlite:///{path}/no/such/folder/gradebook.db"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (corrupt, "cannot be opened: file is not a database"),
        (of_another_kind, "not a gradebook of nbgrader: it has the tables recipes"),
        (a_folder, "cannot be read and written"),
        (nowhere, "cannot be created"),
        (lambda path: "no url", "URL cannot be read"),
        (lambda path: "sqlite://", "names no file"),
        (lambda path: "nosuchdatabase://user:secretword@host/name", "no driver"),
        (lambda path: "postgresql+psycopg://user:secretword@localhost:1/name", "no driver|cannot be opened"),
    ],
)
def test_a_gradebook_that_cannot_be_used_is_an_error_and_nothing_is_written(
    workshop: Workshop, make, words: str
) -> None:
    workshop.submit("one", workshop.right())
    url = make(workshop.course.root / "odd.db")
    before = contents(workshop.folder)
    with pytest.raises(EnvironmentProblem, match=words) as caught:
        open_classroom(workshop.folder, url)
    assert caught.value.remedy
    assert "secretword" not in str(caught.value)
    assert contents(workshop.folder) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_gradebook_is_an_error(workshop: Workshop) -> None:
    path = workshop.folder / "gradebook.db"
    path.touch()
    path.chmod(0)
    with pytest.raises(EnvironmentProblem, match="cannot be read and written"):
        workshop.classroom  # noqa: B018


def test_another_gradebook_is_remembered(workshop: Workshop) -> None:
    workshop.submit("one", "no notebook")
    url = f"sqlite:///{workshop.course.root / 'elsewhere.db'}"
    from grader.grading.grading import grade_class

    grade_class(workshop.course, workshop.chapter, open_classroom(workshop.folder, url), lambda plans: iter(()))
    assert (workshop.course.root / "elsewhere.db").is_file()
    assert not (workshop.folder / "gradebook.db").exists()
    assert open_classroom(workshop.folder).db_url == url


def test_a_class_folder_can_be_moved_and_keeps_its_owners_settings(workshop: Workshop) -> None:
    workshop.submit("one", "no notebook")
    workshop.grade()
    moved = workshop.course.root / "moved [class]"
    workshop.folder.rename(moved)
    assert open_classroom(moved).db_url == f"sqlite:///{moved}/gradebook.db"
    config = moved / "nbgrader_config.py"
    assert config.stat().st_mode & 0o777 == 0o600
    own = config.read_text().replace(CONFIG_HEADER, "# mine")
    config.write_text(own)
    moved.rename(workshop.folder)
    workshop.grade(force=True)
    assert (workshop.folder / "nbgrader_config.py").read_text() == own


def test_an_authors_mistake_stops_before_anything_is_written(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())
    before = contents(workshop.folder)
    hidden = workshop.chapter.hidden
    hidden.write_text(hidden.read_text().replace('"all zero": 1.0', '"all zero": 4.0'))
    with pytest.raises(AuthoringError, match="add up to 5, but its checks cell has 2"):
        workshop.grade()
    assert contents(workshop.folder) == before


def test_new_exercises_after_grading_are_refused_with_the_way_out(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())
    workshop.grade()
    for path in (workshop.chapter.page, workshop.chapter.hidden, workshop.chapter.mistakes):
        path.write_text(path.read_text().replace('"shares"', '"portions"').replace(": shares", ": portions"))
    page = workshop.chapter.page
    page.write_text(page.read_text().replace("} shares", "} portions"))
    with pytest.raises(EnvironmentProblem, match="submissions associated") as caught:
        workshop.grade(force=True)
    assert "--class" in caught.value.remedy


def test_a_gradebook_lost_on_the_way_ends_the_run_with_its_reason(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())

    def losing(plans):
        for number, _ in enumerate(plans):
            corrupt(workshop.folder / "gradebook.db")
            yield number, Outcome()

    with pytest.raises(EnvironmentProblem, match="cannot be opened"):
        workshop.grade(losing)
    assert not (workshop.folder / "feedback" / "one" / "01-tiny" / "result.json").exists()


def test_what_cannot_be_written_for_one_student_stops_nobody_else(workshop: Workshop) -> None:
    workshop.submit("one", "no notebook")
    workshop.submit("two", "no notebook")
    (workshop.folder / "feedback").mkdir()
    (workshop.folder / "feedback" / "one").write_text("a file where a folder should be")
    graded = workshop.grade()
    assert not graded["one"].recorded
    assert "Not a directory" in graded["one"].problem
    assert graded["two"].recorded


def test_a_lost_secret_is_not_replaced_silently(workshop: Workshop) -> None:
    workshop.submit("one", "no notebook")
    workshop.grade()
    workshop.classroom.secret_path.write_text("")
    with pytest.raises(EnvironmentProblem, match="no usable secret"):
        workshop.grade()


def test_a_run_that_is_killed_while_the_gradebook_is_made_leaves_none(
    workshop: Workshop, killed_while_made: Callable[[], None]
) -> None:
    workshop.submit("first", workshop.right())
    with pytest.raises(KeyboardInterrupt):
        workshop.grade()
    assert not (workshop.folder / "gradebook.db").exists()
    killed_while_made()
    assert workshop.points() == {"first": 3}
    assert not list(workshop.folder.glob(".gradebook*"))
    with sqlite3.connect(workshop.folder / "gradebook.db") as database:
        assert database.execute("select count(*) from alembic_version").fetchone() == (1,)
