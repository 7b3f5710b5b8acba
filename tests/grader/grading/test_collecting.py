"""What lies in submitted/ is not believed."""

import os
from pathlib import Path

import pytest

from grader.errors import UsageError
from grader.grading import regular
from grader.grading.collecting import find_submissions, take_in

from .conftest import Workshop


def problems(workshop: Workshop) -> dict[str, str]:
    places = find_submissions(workshop.folder / "submitted", "01-tiny", "tiny")
    return {place.student: take_in(place).problem for place in places}


def test_links_and_devices_are_refused_and_cost_one_student(workshop: Workshop, tmp_path: Path) -> None:
    outside = tmp_path / "secret.ipynb"
    outside.write_text('{"cells": []}')
    workshop.submit("good", workshop.right())
    for student, make in {
        "link": lambda path: path.symlink_to(outside),
        "loop": lambda path: path.symlink_to(path),
        "pipe": lambda path: os.mkfifo(path),
        "folder": lambda path: path.mkdir(),
        "empty-file": lambda path: path.touch(),
    }.items():
        path = workshop.folder / "submitted" / student / "01-tiny" / "tiny.ipynb"
        path.parent.mkdir(parents=True)
        make(path)
    submitted = workshop.folder / "submitted"
    (submitted / "linked-student").symlink_to(submitted / "good")
    (submitted / "linked-chapter").mkdir()
    (submitted / "linked-chapter" / "01-tiny").symlink_to(submitted / "good" / "01-tiny")
    (submitted / "empty" / "01-tiny").mkdir(parents=True)
    (submitted / "absent").mkdir()
    (submitted / "a-file").write_text("")
    (submitted / ".hidden").mkdir()
    found = problems(workshop)
    assert found.pop("good") == ""
    assert set(found) == {
        "link",
        "loop",
        "pipe",
        "folder",
        "empty-file",
        "linked-student",
        "linked-chapter",
        "empty",
    }
    assert all(found.values())
    assert "link" in found["link"]
    assert "tiny.ipynb" in found["empty"]
    assert "empty file" in found["empty-file"]


def test_a_link_put_in_place_of_the_file_after_the_look_is_not_followed(workshop: Workshop, tmp_path: Path) -> None:
    path = workshop.submit("one", workshop.right())
    [place] = find_submissions(workshop.folder / "submitted", "01-tiny", "tiny")
    outside = tmp_path / "secret.ipynb"
    outside.write_text('{"cells": []}')
    path.unlink()
    path.symlink_to(outside)
    submission = take_in(place)
    assert submission.problem
    assert not submission.data


def test_the_expected_name_wins_else_the_only_notebook(workshop: Workshop) -> None:
    workshop.submit("two", workshop.right())
    workshop.submit("two", "{}", name="scratch.ipynb")
    workshop.submit("renamed", workshop.right(), name="tiny (1).ipynb")
    workshop.submit("unclear", workshop.right(), name="a.ipynb")
    workshop.submit("unclear", workshop.right(), name="b.ipynb")
    places = {place.student: place for place in find_submissions(workshop.folder / "submitted", "01-tiny", "tiny")}
    assert places["two"].notebook.name == "tiny.ipynb"
    assert places["two"].remarks == ("1 more notebook beside tiny.ipynb: not read",)
    assert places["renamed"].notebook.name == "tiny (1).ipynb"
    assert "none is named tiny.ipynb: a.ipynb, b.ipynb" in places["unclear"].problem


def test_a_notebook_above_the_size_limit_is_not_read(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regular, "MAX_NOTEBOOK_BYTES", 1 << 20)
    workshop.submit("small", workshop.right())
    workshop.submit("large", b'{"cells": []}' + b" " * (1 << 20))
    found = problems(workshop)
    assert found["small"] == ""
    assert "Clear its outputs" in found["large"]


def test_the_time_of_a_submission_is_not_the_students_to_choose(workshop: Workshop) -> None:
    path = workshop.submit("one", workshop.right())
    (path.parent / "timestamp.txt").write_text("1999-01-01 00:00:00 UTC")
    os.utime(path, (0, 0))
    [place] = find_submissions(workshop.folder / "submitted", "01-tiny", "tiny")
    submission = take_in(place)
    assert submission.received.year > 2000
    assert submission.claimed == "1999-01-01 00:00:00.000000 UTC"
    (path.parent / "timestamp.txt").write_text("2999-01-01 00:00:00 UTC")
    assert take_in(place).claimed == ""
    (path.parent / "timestamp.txt").write_text("x" * 1000)
    assert take_in(place).claimed == ""
    (path.parent / "timestamp.txt").unlink()
    os.mkfifo(path.parent / "timestamp.txt")
    assert take_in(place).claimed == ""


def test_odd_names_of_folders_are_graded_like_others(workshop: Workshop) -> None:
    names = ["odd [x]*", "Zoë (2)", "a.b", "{student_id}", "%s", "x" * 128, "--force"]
    for name in names:
        workshop.submit(name, "no notebook")
    workshop.submit("..hidden", "no notebook")
    graded = workshop.grade()
    assert set(graded) == set(names)
    for name in names:
        assert graded[name].recorded
        assert "not valid JSON" in workshop.page(name)
        assert (workshop.folder / "autograded" / name / "01-tiny" / "tiny.ipynb").is_file()


def test_names_that_no_gradebook_holds_are_reported_and_stop_nobody(workshop: Workshop) -> None:
    names = ["x" * 129, " space", "tab\there", "line\nbreak", "back\\slash", "not utf-8 \udcff"]
    for name in names:
        workshop.submit(name, workshop.right())
    workshop.submit("other", "no notebook")
    graded = workshop.grade()
    for name in names:
        assert not graded[name].recorded
        assert "name of the student's folder" in graded[name].problem
    assert graded["other"].recorded


def test_a_class_without_a_notebook_is_an_error_and_nothing_is_written(workshop: Workshop) -> None:
    (workshop.folder / "submitted" / "one" / "01-tiny").mkdir(parents=True)
    (workshop.folder / "submitted" / "two").mkdir()
    with pytest.raises(UsageError, match="no notebook for 01-tiny") as caught:
        workshop.grade()
    assert "submitted/STUDENT/01-tiny/tiny.ipynb" in caught.value.remedy
    assert sorted(path.name for path in workshop.folder.iterdir()) == ["submitted"]


def test_an_unknown_student_is_an_error(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())
    with pytest.raises(UsageError, match="no folder of a student 'eno'"):
        workshop.grade(only=["eno"])
