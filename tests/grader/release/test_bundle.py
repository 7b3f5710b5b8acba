"""The bundle: what is in it, what never is, and how it comes to lie on disk."""

import hashlib
import json
import os
import stat
import zipfile
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from grader.authoring.building import build
from grader.book.leak import LeakError
from grader.cli import cli
from grader.course import Course, load_course
from grader.errors import AuthoringError, CourseError, NoSuchChapter, UsageError
from grader.grading.assignment import load_assignment
from grader.release.bundle import MANIFEST, make_bundle
from grader.release.requirements import imported_packages, requirement_lines
from grader.release.writing import as_zip, write_bundle


def library(files) -> dict[str, bytes]:
    """The library's own files in a bundle."""
    return {
        name.removeprefix("lib/"): content
        for name, content in files.items()
        if name.startswith("lib/") and name != "lib/pyproject.toml"
    }


@pytest.mark.parametrize("through", ["01-tiny", "02-more"])
def test_the_modules_are_those_that_the_sandbox_gives_to_a_submission(course: Course, through: str) -> None:
    given = dict(load_assignment(course, course.chapter(through)).library.files)
    bundled = library(make_bundle(course, through).files)
    assert {name for name in bundled if name.endswith(".py")} == {name for name in given if name.endswith(".py")}
    assert bundled.items() >= given.items()


def test_a_chapter_finds_in_the_bundle_all_that_the_sandbox_gives_it(course: Course) -> None:
    bundled = library(make_bundle(course, "02-more").files)
    for chapter in course.chapters:
        assert bundled.items() >= dict(load_assignment(course, chapter).library.files).items()
    assert "tinylib/data/weights/a.bin" in bundled, "chapter 1 asks for it, and is in the bundle"
    assert "tinylib/data/weights/b.bin" not in bundled, "no chapter asks for it"


def test_no_module_of_the_last_chapter_or_a_later_one_is_in_the_bundle(course: Course) -> None:
    first, second = (library(make_bundle(course, chapter.id).files) for chapter in course.chapters)
    assert not {"tinylib/sharing.py", "tinylib/spread.py", "tinylib/later.py"} & set(first)
    assert "tinylib/sharing.py" in second
    assert not {"tinylib/spread.py", "tinylib/later.py"} & set(second)


def test_the_real_bundle_of_every_chapter_is_the_real_sandboxs_slice(repository: Path) -> None:
    course = load_course(repository)
    for chapter in course.chapters:
        bundled = library(make_bundle(course, chapter.id).files)
        given = dict(load_assignment(course, chapter).library.files)
        assert bundled.items() >= given.items()
        assert {name for name in bundled if name.endswith(".py")} == {name for name in given if name.endswith(".py")}
        own = [pattern for later in course.chapters[course.chapters.index(chapter) :] for pattern in later.owns]
        modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in bundled}
        assert len(own) >= len(chapter.owns) > 0
        assert not [name for name in modules if any(fnmatch(name, pattern) for pattern in own)]


def test_the_notebooks_are_the_committed_ones_of_the_chapters_up_to_the_last(course: Course) -> None:
    notebooks = {name for name in make_bundle(course, "01-tiny").files if name.endswith(".ipynb")}
    assert notebooks == {"chapters/01-tiny/tiny.ipynb"}
    files = make_bundle(course, "02-more").files
    for chapter in course.chapters:
        name = f"chapters/{chapter.id}/{chapter.page.stem}.ipynb"
        assert files[name] == course.student_notebook(chapter).read_bytes()
        assert files[f"chapters/{chapter.id}/figures/parts.svg"] == (chapter.figures / "parts.svg").read_bytes()


def test_a_stale_notebook_is_refused_with_the_command_that_mends_it(course: Course) -> None:
    path = course.student_notebook(course.chapters[1])
    path.write_text(path.read_text(encoding="utf-8").replace("quarter", "fourth"), encoding="utf-8")
    assert make_bundle(course, "01-tiny")
    with pytest.raises(CourseError, match=r"stale: chapters/02-more/more.ipynb[\s\S]*course build"):
        make_bundle(course, "02-more")


def test_an_unknown_chapter_is_answered_with_those_there_are(course: Course) -> None:
    with pytest.raises(NoSuchChapter, match="01-tiny, 02-more"):
        make_bundle(course, "03-later")


def test_the_manifest_names_the_course_and_the_hash_of_every_other_file(course: Course) -> None:
    files = make_bundle(course, "02-more").files
    manifest = json.loads(files[MANIFEST])
    assert manifest["files"] == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != MANIFEST
    }
    assert (manifest["edition"], manifest["through"]) == ("0.1", "02-more")
    assert [row["id"] for row in manifest["chapters"]] == ["01-tiny", "02-more"]
    assert manifest["library"] == {"package": "tinylib", "version": "0.1+before.2.more"}


def test_the_readme_lists_the_chapters_and_has_the_classs_own_words(course: Course) -> None:
    page = make_bundle(course, "02-more", notes="Hand in **by Friday** in the forum.\n").files["README.md"].decode()
    assert "[chapters/02-more/more.ipynb](chapters/02-more/more.ipynb)" in page
    assert "| Adding and sharing | 3 | 0.1 |" in page
    assert "Hand in **by Friday** in the forum." in page
    assert "`tiny.ipynb`, `more.ipynb`" in page
    assert "torch" not in page, "this course has none"
    assert "Ask the person" in make_bundle(course, "02-more").files["README.md"].decode()


def test_a_bonus_chapter_says_so_in_readme_manifest_and_notebook(root: Path) -> None:
    settings = root / "course.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("hours = 2", "hours = 2\nbonus = true"))
    load_course.cache_clear()
    course = load_course(root)
    build(course, course.chapters)
    files = make_bundle(course, "02-more").files
    assert "| More of the same (bonus) | 3 | 2 |" in files["README.md"].decode()
    assert [row.get("bonus") for row in json.loads(files[MANIFEST])["chapters"]] == [None, True]
    assert "3 bonus points" in files["chapters/02-more/more.ipynb"].decode()


def test_the_readme_of_the_real_course_fits_a_terminal_and_a_graphics_card(repository: Path) -> None:
    course = load_course(repository)
    page = make_bundle(course, course.chapters[0].id).files["README.md"].decode()
    assert "torch==2.13.0" in page
    assert "Windows" in page
    assert max(len(line) for line in page.splitlines() if not line.startswith("|")) <= 120


def test_requirements_are_what_is_imported_with_the_courses_pins(root: Path) -> None:
    (root / "requirements.txt").write_text("-c constraints.txt\nnumpy==2.4.6\nnbgrader==0.9.6\njupyterlab==4.6.6\n")
    (root / "constraints.txt").write_text("scikit-learn==1.9.1\nnbgrader==0.9.6\n")
    module = root / "lib/tinylib/__init__.py"
    text = module.read_text(encoding="utf-8") + "\n\ndef late():\n    import json\n    from numpy import array\n"
    module.write_text(text + "    import sklearn.cluster\n    import tinylib.sharing\n", encoding="utf-8")
    files = make_bundle(load_course(root), "01-tiny").files
    lines = files["requirements.txt"].decode().splitlines()
    assert lines[3:] == [
        "-c constraints.txt",
        "ipywidgets",
        "jupyterlab==4.6.6",
        "numpy==2.4.6",
        "scikit-learn==1.9.1",
        "./lib",
    ]
    assert files["constraints.txt"] == (root / "constraints.txt").read_bytes()


def test_a_module_that_is_not_in_the_bundle_needs_no_package(root: Path) -> None:
    (root / "lib/tinylib/later.py").write_text("import torch\n", encoding="utf-8")
    assert "torch" not in make_bundle(load_course(root), "02-more").files["requirements.txt"].decode()


def test_an_import_that_nothing_provides_is_named(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="imports no_such_package"):
        requirement_lines(imported_packages(["import no_such_package.inner"]), [], tmp_path)


def test_the_real_requirements_are_pinned_and_hold_no_tool_of_the_grader(repository: Path) -> None:
    course = load_course(repository)
    text = make_bundle(course, course.chapters[-1].id).files["requirements.txt"].decode()
    lines = [Requirement(line) for line in text.splitlines() if line[0] not in "#-."]
    names = {line.name for line in lines}
    assert {"torch", "numpy", "jupyterlab", "jaxtyping"} <= names
    assert not {"nbgrader", "pytest", "jupyter-book", "distributed", "mypy", "ruff", "jupytext"} & names
    for line in lines:
        assert [spec.operator for spec in line.specifier] == ["=="], line
        assert line.specifier.contains(version(line.name)), line


def test_the_same_sources_give_the_same_bytes_wherever_they_are_made(course: Course, tmp_path: Path) -> None:
    for chapter in course.chapters:
        for path in course.student_notebook(chapter).parent.rglob("*"):
            os.utime(path, (1, 1))
    first = write_bundle(make_bundle(course, "02-more"), tmp_path / "one", lambda part: None)
    for path in course.root.rglob("*.py"):
        os.utime(path, (10**9, 10**9))
        path.chmod(0o600)
    old = os.umask(0o077)
    try:
        second = write_bundle(make_bundle(course, "02-more"), tmp_path / "two", lambda part: None)
    finally:
        os.umask(old)
    assert first.archive.read_bytes() == second.archive.read_bytes()
    assert modes(first.folder) == modes(second.folder)
    assert set(modes(first.folder).values()) == {0o644, 0o755}


def modes(folder: Path) -> dict[str, int]:
    paths = [folder, *folder.rglob("*")]
    return {path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in paths}


def test_the_zip_holds_what_the_folder_holds_below_one_folder(course: Course, tmp_path: Path) -> None:
    bundle = make_bundle(course, "02-more")
    written = write_bundle(bundle, tmp_path / "out" / "here", lambda part: None)
    assert written.archive == tmp_path / "out" / "here.zip"
    with zipfile.ZipFile(written.archive) as archive:
        members = archive.infolist()
        assert [member.filename for member in members] == sorted(
            f"tiny-numbers-02-more/{name}" for name in bundle.files
        )
        assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
        assert {member.external_attr >> 16 for member in members} == {0o100644}
        archive.extractall(tmp_path / "unpacked")
    for name, content in bundle.files.items():
        assert (written.folder / name).read_bytes() == content
        assert (tmp_path / "unpacked" / bundle.name / name).read_bytes() == content
    assert as_zip(bundle) == written.archive.read_bytes()


def test_an_earlier_bundle_is_replaced_with_all_that_it_held(course: Course, tmp_path: Path) -> None:
    write_bundle(make_bundle(course, "02-more"), tmp_path / "out", lambda part: None)
    again = write_bundle(make_bundle(course, "02-more"), tmp_path / "out", lambda part: None)
    assert not again.changed
    earlier = write_bundle(make_bundle(course, "01-tiny"), tmp_path / "out", lambda part: None)
    assert earlier.changed
    assert not (tmp_path / "out/chapters/02-more").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["course", "out", "out.zip"]


def test_a_folder_with_anything_else_in_it_is_refused_and_kept(course: Course, tmp_path: Path) -> None:
    bundle = make_bundle(course, "01-tiny")
    place = tmp_path / "out"
    place.mkdir()
    write_bundle(bundle, place, lambda part: None)  # an empty folder is taken
    work = place / "chapters/01-tiny/tiny.ipynb"
    work.write_text("my work", encoding="utf-8")
    with pytest.raises(UsageError, match=r"not as the bundle had them: chapters/01-tiny/tiny.ipynb"):
        write_bundle(bundle, place, lambda part: None)
    assert work.read_text(encoding="utf-8") == "my work"
    work.write_bytes(bundle.files["chapters/01-tiny/tiny.ipynb"])
    (place / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.txt"):
        write_bundle(bundle, place, lambda part: None)
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no bundle"):
        write_bundle(bundle, tmp_path / "papers", lambda part: None)
    (tmp_path / "other.zip").write_bytes(b"not ours")
    with pytest.raises(UsageError, match=r"other\.zip is there and is no bundle"):
        write_bundle(bundle, tmp_path / "other", lambda part: None)
    (tmp_path / "link").symlink_to(tmp_path / "papers")
    with pytest.raises(UsageError, match="is no folder"):
        write_bundle(bundle, tmp_path / "link", lambda part: None)


def run(root: Path, *arguments: str):
    return CliRunner().invoke(cli, ["release", *arguments], env={"COURSE_ROOT": str(root)})


def test_the_command_says_what_it_made_and_that_nothing_secret_is_in_it(root: Path) -> None:
    done = run(root, "--through", "02-more")
    assert done.exit_code == 0, done.output
    assert "none of" in done.output
    assert (root / "build/release/tiny-numbers-02-more/README.md").is_file()
    assert "as before" in run(root, "--through", "02-more").output


def test_notes_that_cannot_be_read_are_named_with_the_way_out(root: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    for content, words, way_out in [
        (None, "No such file", "leave out --notes"),
        ("Abgabe im Büro".encode("latin-1"), "not in UTF-8", "save the file as UTF-8"),
    ]:
        if content is not None:
            notes.write_bytes(content)
        done = run(root, "--through", "01-tiny", "--notes", str(notes))
        assert isinstance(done.exception, UsageError)
        assert words in done.exception.problem
        assert way_out in done.exception.remedy
    assert not (root / "build" / "release").exists()


def test_a_leak_stops_the_release_and_nothing_is_left_behind(root: Path, tmp_path: Path) -> None:
    write_bundle(make_bundle(load_course(root), "01-tiny"), tmp_path / "out", lambda part: None)
    before = (tmp_path / "out.zip").read_bytes()
    data = root / "lib/tinylib/data/notes.txt"
    data.write_text("\n    return [number for number in numbers if number > 12]\n")
    done = run(root, "--through", "02-more", "--to", str(tmp_path / "out"))
    assert isinstance(done.exception, LeakError)
    assert done.exception.exit_code == 1
    assert "bundle/lib/tinylib/data/notes.txt:2: holds lib/tinylib/later.py:2 (library," in str(done.exception)
    assert (tmp_path / "out.zip").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["course", "out", "out.zip"]
    done = run(root, "--through", "02-more", "--to", str(tmp_path / "new"))
    assert isinstance(done.exception, LeakError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["course", "out", "out.zip"]


def test_a_library_whose_version_cannot_be_read_is_named(root: Path) -> None:
    (root / "lib/pyproject.toml").write_text('[project]\nname = "tinylib"\ndynamic = ["version"]\n')
    with pytest.raises(AuthoringError, match=r"lib/pyproject.toml: no version can be read"):
        make_bundle(load_course(root), "01-tiny")
