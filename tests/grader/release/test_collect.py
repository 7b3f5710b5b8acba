"""`course collect`: an archive of a learning management system comes into the class folder, and only there."""

import io
import stat
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from grader.cli import cli
from grader.course import Course
from grader.errors import CourseError, UsageError
from grader.grading.collecting import find_submissions
from grader.release import unpacking
from grader.release.collect import Taken, collect
from grader.release.sorting import owners

NOTEBOOK = b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


def packed(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def states(taken: list[Taken]) -> dict[str, str]:
    return {each.student: each.state for each in taken}


def below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


LAYOUTS = {
    "Moodle with folders": ("{0}_{1}_assignsubmission_file_/tiny.ipynb", "tiny.ipynb"),
    "Moodle with a folder inside": ("{0}_{1}_assignsubmission_file_/work/tiny.ipynb", "tiny.ipynb"),
    "Moodle without folders": ("{0}_{1}_assignsubmission_file_tiny.ipynb", "tiny.ipynb"),
    "Moodle in a folder": ("Course-Tiny-77/{0}_{1}_assignsubmission_file_/tiny.ipynb", "tiny.ipynb"),
    "Canvas": ("{0}_{1}_9876_tiny-1.ipynb", "tiny-1.ipynb"),
    "Canvas, late": ("{0}_LATE_{1}_9876_tiny.ipynb", "tiny.ipynb"),
    "folders": ("{0}/tiny.ipynb", "tiny.ipynb"),
    "folders in a folder": ("all/{0}/tiny.ipynb", "tiny.ipynb"),
    "our own layout": ("submitted/{0}/01-tiny/tiny.ipynb", "tiny.ipynb"),
    "whole bundles in folders": ("{0}/chapters/01-tiny/tiny.ipynb", "tiny.ipynb"),
    "Windows": ("all\\{0}\\tiny.ipynb", "tiny.ipynb"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_student_gets_the_own_notebook_whatever_system_packed_it(layout: str, tmp_path: Path) -> None:
    name, own = LAYOUTS[layout]
    students = ["Ada Lovelace", "von_Neumann-J", "Ægir"]
    files = {name.format(who, 100 + n): NOTEBOOK + str(n).encode() for n, who in enumerate(students)}
    taken = collect([packed(tmp_path / "all.zip", **files)], "01-tiny", tmp_path / "class")
    assert states(taken) == dict.fromkeys(students, "new")
    assert below(tmp_path / "class") == {
        f"submitted/{who}/01-tiny/{own}": NOTEBOOK + str(n).encode() for n, who in enumerate(students)
    }
    places = find_submissions(tmp_path / "class" / "submitted", "01-tiny", "tiny")
    assert [place.student for place in places if place.notebook] == sorted(students)


def test_one_student_alone_keeps_the_name(tmp_path: Path) -> None:
    for number, name in enumerate(["ada/tiny.ipynb", "ada_7_assignsubmission_file_/tiny.ipynb"]):
        archive = packed(tmp_path / f"{number}.zip", **{name: NOTEBOOK})
        assert states(collect([archive], "01-tiny", tmp_path / str(number))) == {"ada": "new"}


def test_digits_in_a_file_name_make_no_other_student(tmp_path: Path) -> None:
    names = ["ada/my_1_2_tiny.ipynb", "bob/tiny.ipynb"]
    assert [owner.student for owner in owners(names).values() if owner] == ["ada", "bob"]


def test_a_pattern_of_ones_own_tells_the_student(tmp_path: Path) -> None:
    archive = packed(tmp_path / "all.zip", **{"x-ada-y.ipynb": NOTEBOOK, "rest.ipynb": NOTEBOOK})
    taken = collect([archive], "01-tiny", tmp_path / "class", pattern=r"x-(?P<student>\w+)-(?P<file>.*)")
    assert states(taken) == {"ada": "new", "rest.ipynb": "refused"}
    assert list(below(tmp_path / "class")) == ["submitted/ada/01-tiny/y.ipynb"]
    with pytest.raises(UsageError, match="no regular expression"):
        collect([archive], "01-tiny", tmp_path / "class", pattern="(")
    with pytest.raises(UsageError, match="no group named student"):
        collect([archive], "01-tiny", tmp_path / "class", pattern=r"(\w+)")


def test_two_students_of_one_name_are_refused_and_the_others_taken(tmp_path: Path) -> None:
    names = [f"{who}_assignsubmission_file_/tiny.ipynb" for who in ("Jan Kim_1", "Jan Kim_2", "Ada_3")]
    taken = collect([packed(tmp_path / "all.zip", **dict.fromkeys(names, NOTEBOOK))], "01-tiny", tmp_path / "class")
    assert states(taken) == {"Ada": "new", "Jan Kim": "refused"}
    assert "2 students have this name" in taken[1].words
    assert not (tmp_path / "class/submitted/Jan Kim").exists()


HOSTILE = [
    "../../escaped/tiny.ipynb",
    "..\\..\\escaped\\tiny.ipynb",
    "/etc/escaped.ipynb",
    "ada/../../../escaped.ipynb",
    "ada/..ipynb",
    ".hidden/tiny.ipynb",
    "a\x1b[2Jb/tiny.ipynb",
    "[a-z]*/tiny.ipynb",
    "x" * 300 + "/tiny.ipynb",
    " /tiny.ipynb",
    "C:/tiny.ipynb",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_in_an_archive_leads_out_of_the_class(name: str, tmp_path: Path) -> None:
    archive = packed(tmp_path / "all.zip", **{name: NOTEBOOK, "bob/tiny.ipynb": NOTEBOOK})
    before = set(tmp_path.iterdir())
    taken = collect([archive], "01-tiny", tmp_path / "class")
    assert states(taken)["bob"] == "new"
    assert set(tmp_path.iterdir()) - before == {tmp_path / "class"}
    for path in below(tmp_path / "class"):
        top, student, chapter, file = path.split("/")
        assert (top, chapter) == ("submitted", "01-tiny")
        assert file.endswith(".ipynb")
        assert not student.startswith(".")
    assert not any("\x1b" in each.student + each.words for each in taken)


def link(name: str, to: str) -> tuple[zipfile.ZipInfo, str]:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member, to


def test_a_link_a_bomb_and_a_damaged_member_cost_their_own_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MAX_NOTEBOOK_BYTES", 1 << 20)
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(*link("lena/tiny.ipynb", "/etc/passwd"))
        opened.writestr("bo/tiny.ipynb", bytes(2 << 20))
        opened.writestr("dan/tiny.ipynb", b"damaged" * 99, compress_type=zipfile.ZIP_STORED)
        opened.writestr("ada/tiny.ipynb", NOTEBOOK)
        opened.writestr("ada/essay.pdf", b"not taken")
        opened.writestr("__MACOSX/ada/._tiny.ipynb", b"not taken")
        opened.writestr("ada/._tiny.ipynb", b"not taken")
    archive.write_bytes(archive.read_bytes().replace(b"damageddamaged", b"damaged!amaged", 1))
    taken = collect([archive], "01-tiny", tmp_path / "class")
    assert states(taken) == {"ada": "new", "bo": "refused", "dan": "refused", "lena": "refused"}
    words = {each.student: each.words for each in taken}
    assert "more than 1 MB" in words["bo"]
    assert "CRC" in words["dan"]
    assert "a link, not a file" in words["lena"]
    assert list(below(tmp_path / "class")) == ["submitted/ada/01-tiny/tiny.ipynb"]


def test_a_zip_within_the_zip_is_opened_and_a_bad_one_is_named(tmp_path: Path) -> None:
    good, empty = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(good, "w") as inner:
        inner.writestr("bundle/chapters/01-tiny/tiny.ipynb", NOTEBOOK)
        inner.writestr("../../../escaped.ipynb", NOTEBOOK)
    with zipfile.ZipFile(empty, "w") as inner:
        inner.writestr("readme.txt", b"")
    archive = packed(
        tmp_path / "all.zip",
        **{
            "ada_1_assignsubmission_file_/work.zip": good.getvalue(),
            "bo_2_assignsubmission_file_/work.zip": b"PK no zip at all",
            "cy_3_assignsubmission_file_/work.zip": empty.getvalue(),
            "di_4_assignsubmission_file_/tiny.ipynb": NOTEBOOK,
            "di_4_assignsubmission_file_/also.zip": empty.getvalue(),
        },
    )
    taken = collect([archive], "01-tiny", tmp_path / "class")
    assert states(taken) == {"ada": "new", "bo": "refused", "cy": "refused", "di": "new"}
    assert set(below(tmp_path / "class/submitted/ada")) == {"01-tiny/tiny.ipynb", "01-tiny/escaped.ipynb"}
    assert "a zip without a notebook" in taken[2].words
    assert "a zip without a notebook" in taken[3].words, "said, although the notebook beside it was taken"
    assert set(tmp_path.iterdir()) == {archive, tmp_path / "class"}


def test_one_bad_archive_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(packed(tmp_path / "a.zip", **{"ada/tiny.ipynb": NOTEBOOK}).read_bytes()[:40])
    good = packed(tmp_path / "b.zip", **{"bob/tiny.ipynb": NOTEBOOK})
    taken = collect([tmp_path / "cut.zip", good], "01-tiny", tmp_path / "class")
    assert states(taken) == {str(tmp_path / "cut.zip"): "refused", "bob": "new"}


def test_a_second_download_changes_only_what_it_is_told_to_and_loses_nothing(tmp_path: Path) -> None:
    first = packed(tmp_path / "1.zip", **{"ada/tiny.ipynb": NOTEBOOK, "bob/tiny.ipynb": NOTEBOOK})
    second = packed(tmp_path / "2.zip", **{"ada/tiny.ipynb": b"newer", "bob/tiny.ipynb": NOTEBOOK})
    home = tmp_path / "class"
    collect([first], "01-tiny", home)
    kept = collect([second], "01-tiny", home)
    assert states(kept) == {"ada": "kept", "bob": "as before"}
    assert "--replace" in kept[0].words
    assert (home / "submitted/ada/01-tiny/tiny.ipynb").read_bytes() == NOTEBOOK
    assert states(collect([second], "01-tiny", home, overwrite=True)) == {"ada": "replaced", "bob": "as before"}
    assert (home / "submitted/ada/01-tiny/tiny.ipynb").read_bytes() == b"newer"
    assert sorted(below(home / "replaced").values()) == [NOTEBOOK]


def test_of_two_archives_the_later_wins(tmp_path: Path) -> None:
    first = packed(tmp_path / "1.zip", **{"ada/tiny.ipynb": NOTEBOOK, "bob/tiny.ipynb": NOTEBOOK})
    second = packed(tmp_path / "2.zip", **{"ada/tiny.ipynb": b"newer"})
    taken = collect([first, second], "01-tiny", tmp_path / "class")
    assert states(taken) == {"ada": "new", "bob": "new"}
    assert (tmp_path / "class/submitted/ada/01-tiny/tiny.ipynb").read_bytes() == b"newer"


def test_a_link_in_the_class_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "class/submitted").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "class/submitted/ada").symlink_to(tmp_path / "elsewhere")
    archive = packed(tmp_path / "all.zip", **{"ada/tiny.ipynb": NOTEBOOK})
    assert states(collect([archive], "01-tiny", tmp_path / "class")) == {"ada": "refused"}
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_command_counts_and_ends_with_1_when_something_was_left(course: Course, tmp_path: Path) -> None:
    archive = packed(tmp_path / "all.zip", **{"ada/tiny.ipynb": NOTEBOOK, "bob/tiny.ipynb": NOTEBOOK})
    arguments = ["collect", "01-tiny", str(archive), "--class", str(tmp_path / "class")]
    environment = {"COURSE_ROOT": str(course.root)}
    done = CliRunner().invoke(cli, arguments, env=environment)
    assert (done.exit_code, done.output) == (0, "2 new\n")
    (tmp_path / "class/submitted/ada/01-tiny/tiny.ipynb").write_bytes(b"mine")
    done = CliRunner().invoke(cli, arguments, env=environment)
    assert isinstance(done.exception, CourseError)
    assert "1 of 2 were not taken" in str(done.exception)
    assert "1 as before, 1 kept" in done.output
    assert "ada: kept: the class folder has another version" in done.output
    packed(archive, **{"ada/notes.txt": b""})
    assert "holds no notebook" in str(CliRunner().invoke(cli, arguments, env=environment).exception)
