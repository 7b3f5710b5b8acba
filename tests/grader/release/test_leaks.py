"""`course leaks`: a line of every kind of secret, planted in every kind of product, is found; untouched ones pass."""

import base64
import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result

from grader.book.leak import LeakError
from grader.book.secrets import is_quoted
from grader.cli import cli
from grader.course import Course, load_course
from grader.errors import UsageError
from grader.release.bundle import make_bundle
from grader.release.products import product_at, search
from grader.release.writing import write_bundle

SECRETS = {
    "solution": "    return [weight / total if total else 1 / len(weights) for weight in weights]",
    "hidden check": "        numbers = list(inputs['numbers'])",
    "mistake": "    return sum(x for x in numbers if x > 0)",
    "alternative": "    return [weight / whole for weight in weights]",
    "library": "    return [number for number in numbers if number > 12]",
    "class secret": "",
}
"""A line of each kind; the class's secret is read from its folder."""


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class of the miniature course: one with the reference answers, one with a mistake, one untouched."""
    from grader.authoring.notebooks import source_notebook, student_notebook
    from grader.book.executed import MARKER

    root = tmp_path_factory.mktemp("graded") / "course"
    mini = Path(__file__).resolve().parents[1] / "fixtures" / "mini"
    shutil.copytree(mini, root, ignore=shutil.ignore_patterns("build", "__pycache__"))
    course = load_course(root)
    chapter = course.chapters[0]
    answers = {
        cell.metadata.nbgrader.grade_id: MARKER.sub("", cell.source)
        for cell in source_notebook(course, chapter).cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    wrong = {**answers, "shares": "def shares(weights):\n    return [w / (sum(weights) or 1) for w in weights]\n"}
    for student, written in {"ada": answers, "carl": wrong, "fred": {}}.items():
        notebook = student_notebook(course, chapter)
        for cell in notebook.cells:
            cell.source = written.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
        path = root / "class" / "submitted" / student / chapter.id / "tiny.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)
    done = CliRunner().invoke(
        cli,
        ["grade", chapter.id, "--class", str(root / "class"), "--no-sandbox", "--workers", "1"],
        env={"COURSE_ROOT": str(root)},
    )
    assert done.exit_code == 0, (done.output, done.exception)
    return root / "class"


@pytest.fixture
def place(course: Course, graded: Path, tmp_path: Path) -> Path:
    """One of each product, free to be spoilt: bundle/ of chapter 1, bundle.zip, class/, site/."""
    place = tmp_path / "products"
    shutil.copytree(graded, place / "class")
    site = place / "site"
    site.mkdir()
    (site / "searchindex.js").write_text('Search.setIndex({"docnames":["index"],"terms":{"number":0}})')
    (site / "index.html").write_text("<p>Adding and sharing</p>\n", encoding="utf-8")
    write_bundle(make_bundle(course, "01-tiny"), place / "bundle", lambda part: None)
    return place


def leaks(course: Course, *arguments: Path | str) -> Result:
    return CliRunner().invoke(cli, ["leaks", *map(str, arguments)], env={"COURSE_ROOT": str(course.root)})


def line_of(kind: str, place: Path) -> str:
    return SECRETS[kind] or (place / "class/.secret").read_text().strip()


def append(path: Path, text: str) -> int:
    """Add a line to a text file; returns its number."""
    before = path.read_text(encoding="utf-8").rstrip("\n")
    path.write_text(f"{before}\n{text}\n", encoding="utf-8")
    return before.count("\n") + 2


def in_output(path: Path, text: str) -> int:
    """Let a cell of a notebook print the text."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["x\n", f"{text}\n"]}]
    path.write_text(json.dumps(notebook, indent=1), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").split("\n")
    return next(number for number, line in enumerate(lines, 1) if json.dumps(text)[1:-1] in line)


PLACES: dict[str, tuple[str, Callable[[Path, str], int]]] = {
    "README of a bundle": ("bundle/README.md", append),
    "notebook of a bundle": ("bundle/chapters/01-tiny/tiny.ipynb", in_output),
    "feedback page": ("class/feedback/carl/01-tiny/feedback.html", append),
    "result": ("class/feedback/carl/01-tiny/result.json", append),
    "autograded notebook": ("class/autograded/carl/01-tiny/tiny.ipynb", in_output),
    "site": ("site/index.html", append),
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_planted_line_of_every_kind_is_found_in_every_product(kind: str, course: Course, place: Path) -> None:
    for name, plant in PLACES.values():
        path = place / name
        before = path.read_bytes()
        number = plant(path, line_of(kind, place))
        product = place / name.split("/")[0]
        done = leaks(course, product, "--class", place / "class")
        assert isinstance(done.exception, LeakError), f"{kind} in {name} was not found: {done.output}"
        assert done.exception.exit_code == 1
        assert f"{path}:{number}: holds " in str(done.exception)
        assert f"({kind}, " in str(done.exception)
        assert "remedy: do not " in str(done.exception)
        assert line_of(kind, place).strip() not in str(done.exception)
        path.write_bytes(before)
    assert leaks(course, place / "bundle", place / "class", place / "site").exit_code == 0


def test_the_untouched_products_pass_and_are_counted(course: Course, place: Path) -> None:
    done = leaks(course, place / "bundle", place / "bundle.zip", place / "class", place / "site")
    assert done.exit_code == 0, done.exception
    assert [line.split(" (")[1].split(")")[0] for line in done.output.splitlines()] == [
        "bundle",
        "bundle",
        "class",
        "site",
    ]
    counted = search(course, product_at(place / "class"))
    assert counted.files >= 9, "a feedback page, a result and a notebook for each student"


def packed_forms(line: str) -> Iterator[tuple[str, bytes]]:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/answer.py", f"x = 1\n{line}\n")
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.zip", inner.getvalue())
    yield "zip-in-zip.zip", outer.getvalue()
    yield "comment.png", png(b"tEXt", b"Comment\0" + line.encode())
    yield "packed-comment.png", png(b"zTXt", b"Comment\0\0" + zlib.compress(line.encode()))
    attachment = base64.b64encode(png(b"zTXt", b"Comment\0\0" + zlib.compress(line.encode()))).decode()
    cell = {"cell_type": "markdown", "attachments": {"a.png": {"image/png": attachment}}}
    yield "attachment.ipynb", json.dumps({"cells": [cell]}).encode()


def png(kind: bytes, data: bytes) -> bytes:
    """A picture of one pixel with a chunk of metadata."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), (kind, data)]
    chunks += [(b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")]
    parts = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_what_is_packed_inside_a_bundles_zip_is_found(course: Course, place: Path, tmp_path: Path) -> None:
    for name, content in packed_forms(SECRETS["mistake"]):
        spoilt = tmp_path / "spoilt.zip"
        shutil.copyfile(place / "bundle.zip", spoilt)
        with zipfile.ZipFile(spoilt, "a") as archive:
            archive.writestr(f"tiny-numbers-01-tiny/{name}", content)
        done = leaks(course, spoilt)
        assert isinstance(done.exception, LeakError), name
        assert f"in the zip as tiny-numbers-01-tiny/{name}" in str(done.exception)
        assert "solutions/01-tiny/mistakes.py" in str(done.exception)


def test_a_part_that_cannot_be_searched_is_named(course: Course, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:
        archive.writestr("a.txt", "nothing")
    data = bytearray((tmp_path / "locked.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # encrypted, says the directory
    (tmp_path / "locked.zip").write_bytes(bytes(data))
    done = leaks(course, tmp_path / "locked.zip")
    assert isinstance(done.exception, LeakError)
    assert "locked.zip: cannot be searched whole: a.txt in the zip is too large or encrypted" in str(done.exception)


def test_a_line_that_the_student_handed_in_is_no_leak_for_this_student_only(course: Course, place: Path) -> None:
    text = (place / "class/autograded/ada/01-tiny/tiny.ipynb").read_text(encoding="utf-8")
    assert "return [weight / total if total else 1 / len(weights)" in text, "ada wrote the reference answer"
    append(place / "class/feedback/ada/01-tiny/feedback.html", SECRETS["solution"])
    assert leaks(course, place / "class").exit_code == 0
    append(place / "class/feedback/fred/01-tiny/feedback.html", SECRETS["solution"])
    done = leaks(course, place / "class")
    assert "feedback/fred/01-tiny/feedback.html" in str(done.exception)
    assert "ada" not in str(done.exception)


def test_the_words_of_a_verdict_are_for_students_and_the_code_around_them_is_not(course: Course, place: Path) -> None:
    hidden = course.chapters[0].hidden
    words = "    'every share is a part of one whole, so they add up to one'\n"
    code = "def _words(shares_given):\n    return max(shares_given), (\n" + words + "    )\n"
    hidden.write_text(f"{hidden.read_text(encoding='utf-8')}\n\n{code}", encoding="utf-8")
    page = place / "class/feedback/carl/01-tiny/feedback.html"
    append(page, "every share is a part of one whole, so they add up to one")
    assert leaks(course, place / "class").exit_code == 0
    assert leaks(course, page).exit_code == 1, "outside of a class it is a line of a hidden check like any other"
    append(page, "def _words(shares_given):")
    assert "hidden.py" in str(leaks(course, place / "class").exception)


def test_nothing_beside_what_students_get_is_searched_in_a_class(course: Course, place: Path) -> None:
    for name, kind in {
        "source/01-tiny/tiny.ipynb": "solution",
        "submitted/fred/01-tiny/notes.txt": "solution",
        "exchange/tiny/inbound/fred+01-tiny+now/tiny.ipynb": "library",
    }.items():
        (place / "class" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "class" / name).write_text(SECRETS[kind], encoding="utf-8")
    assert leaks(course, place / "class").exit_code == 0
    for name in ("release/01-tiny/tiny.ipynb", "exchange/tiny/outbound/01-tiny/tiny.ipynb"):
        path = place / "class" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRETS["mistake"], encoding="utf-8")
        assert str(path) in str(leaks(course, place / "class").exception)
        path.unlink()


def test_a_bundle_is_held_against_its_own_last_chapter(course: Course, place: Path, tmp_path: Path) -> None:
    write_bundle(make_bundle(course, "02-more"), tmp_path / "second", lambda part: None)
    spread = (course.library_root / "tinylib/spread.py").read_text(encoding="utf-8").split("\n")[1]
    sharing = (course.library_root / "tinylib/sharing.py").read_text(encoding="utf-8")
    for place_, text, found in (
        (place / "bundle", sharing, True),
        (tmp_path / "second", sharing, False),
        (tmp_path / "second", spread, True),
    ):
        (place_ / "extra.py").write_text(text, encoding="utf-8")
        assert (leaks(course, place_).exit_code == 1) is found, (place_, text)


def test_an_answer_of_an_earlier_chapter_is_in_a_bundle_and_never_in_the_site(course: Course, place: Path) -> None:
    """Chapter 2 is given chapter 1's module, which answers it; the world is not."""
    write_bundle(make_bundle(course, "02-more"), place / "second", lambda part: None)
    assert SECRETS["solution"] in (place / "second/lib/tinylib/sharing.py").read_text(encoding="utf-8")
    assert leaks(course, place / "second").exit_code == 0
    append(place / "site/index.html", SECRETS["solution"])
    assert isinstance(leaks(course, place / "site").exception, LeakError)


def test_without_a_path_everything_that_was_made_is_searched(course: Course, place: Path) -> None:
    with pytest.raises(UsageError, match="no bundle, no site and no class yet"):
        raise leaks(course, "--class", place / "none").exception
    write_bundle(make_bundle(course, "01-tiny"), course.build / "release/first", lambda part: None)
    done = leaks(course, "--class", place / "class")
    assert done.exit_code == 0
    assert [line.split(" (")[1].split(")")[0] for line in done.output.splitlines()] == ["bundle", "bundle", "class"]
    with pytest.raises(UsageError, match="there is nothing at"):
        raise leaks(course, place / "nowhere").exception


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        ('    "a share is a part of the whole",', True),
        ("    'one', \"it's two\"", True),
        ('    f"of {weights}"', True),
        ('    return wrong("a share is a part")', False),
        ('    (total, "a share is a part"),', False),
        ("    total = a + b + c", False),
        ("", False),
    ],
)
def test_only_a_line_of_nothing_but_strings_is_quoted(line: str, quoted: bool) -> None:
    assert is_quoted(line) is quoted
