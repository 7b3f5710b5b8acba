"""The leak check finds an answer in every form in which a site or a bundle can hold it."""

import base64
import gzip
import html
import json
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.book.leak import LeakError, find_leaks, refuse_leaks
from grader.book.secrets import BESIDES_ANSWERS, secrets_of, squeeze
from grader.book.site import Site
from grader.course import Course, load_course

SOLUTION = "    return [weight / total if total else 1 / len(weights) for weight in weights]"
MISTAKE = "    return sum(x for x in numbers if x > 0)    # positive ones only"
HIDDEN = '        yield Case("values", {"weights": [round(float(x), 3) for x in rng.uniform(1, 9, size=4)]})'


def write(path: Path, text: str | bytes) -> None:
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def in_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/inside.py", SOLUTION)


def highlighted(line: str) -> str:
    """As Pygments writes it: every word in a span of its own, signs as entities."""
    return " ".join(f'<span class="n">{html.escape(word)}</span>' for word in line.split(" "))


FORMS: dict[str, Callable[[Path], None]] = {
    "plain.txt": lambda path: write(path, SOLUTION),
    "wrapped.txt": lambda path: write(path, SOLUTION.replace(" if ", "\n        if ")),
    "escaped.html": lambda path: write(path, f"<pre>{html.escape(HIDDEN)}</pre>"),
    "spans.html": lambda path: write(path, f"<pre>{highlighted(SOLUTION)}</pre>"),
    "attribute.html": lambda path: write(path, f'<a title="{html.escape(HIDDEN, quote=True)}">x</a>'),
    "notebook.ipynb": lambda path: write(path, json.dumps({"cells": [{"source": [SOLUTION + "\n", HIDDEN]}]})),
    "unicode.json": lambda path: write(path, json.dumps(SOLUTION).replace("/", "\\u002f")),
    "utf16.txt": lambda path: write(path, SOLUTION.encode("utf-16")),
    "base64.txt": lambda path: write(path, base64.b64encode(f"x = 1\n{SOLUTION}\n".encode())),
    # 60 bytes are 80 characters; a letter that follows them is none of base64's
    "glued.txt": lambda path: write(path, base64.b64encode(MISTAKE.encode()[:60]) + b"Z"),
    "data.html": lambda path: write(
        path, f'<a href="data:text/plain;base64,{base64.b64encode(SOLUTION.encode()).decode()}">x</a>'
    ),
    "urlsafe.txt": lambda path: write(path, base64.urlsafe_b64encode(b"\xff\xfe" + SOLUTION.encode() + b"\xfb\xff")),
    "zlib.bin": lambda path: write(path, b"header\n" + zlib.compress(SOLUTION.encode(), 9)),
    "gzip.gz": lambda path: write(path, gzip.compress(SOLUTION.encode())),
    "zlib-in-base64.txt": lambda path: write(path, base64.b64encode(zlib.compress(SOLUTION.encode()))),
    "bundle.zip": in_zip,
}


@pytest.mark.parametrize("name", FORMS)
def test_a_planted_line_is_found_and_named(name: str, mini: Course, tmp_path: Path) -> None:
    FORMS[name](tmp_path / name)
    with pytest.raises(LeakError) as caught:
        refuse_leaks(tmp_path, secrets_of(mini))
    assert name in str(caught.value)
    assert "solutions/01-tiny/" in str(caught.value)
    assert SOLUTION.strip() not in str(caught.value)


def test_words_of_an_answer_in_the_search_index_are_found(mini_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "course"
    shutil.copytree(mini_root, root, ignore=shutil.ignore_patterns("build"))
    page = root / "solutions/01-tiny/tiny.md"
    text = page.read_text(encoding="utf-8").replace(
        "    total = 0.0\n",
        "    total = 0.0\n    running_totals, partial_sums = [total], [total, 2 * total]\n",
    )
    page.write_text(text, encoding="utf-8")
    secrets = secrets_of(load_course(root))
    site = tmp_path / "site"
    site.mkdir()
    index = 'Search.setIndex({"docnames":["index"],"terms":{%s}})'
    write(site / "searchindex.js", index % '"running_tot":0,"number":0')
    assert refuse_leaks(site, secrets) == 1, "one word can be a coincidence"
    write(site / "searchindex.js", index % '"running_tot":0,"partial_sum":0,"number":0')
    with pytest.raises(LeakError, match="partial_sums, running_totals"):
        refuse_leaks(site, secrets)


def test_the_published_site_holds_no_secret_and_the_instructors_does(
    mini: Course, student_site: Site, instructor_site: Site
) -> None:
    secrets = secrets_of(mini, with_library=False)
    assert refuse_leaks(student_site.folder, secrets) == student_site.files > 40
    with pytest.raises(LeakError) as caught:
        refuse_leaks(instructor_site.folder, secrets)
    assert "tiny.html" in str(caught.value)
    refuse_leaks(instructor_site.folder, secrets_of(mini, kinds=BESIDES_ANSWERS))


def test_every_kind_of_secret_is_on_the_list(mini: Course) -> None:
    secrets = secrets_of(mini)
    # the module of this chapter says what the solution says, which was there first
    assert {secret.kind for secret in secrets} >= {"solution", "hidden check", "mistake", "alternative"}
    places = {secret.place.split(":")[0] for secret in secrets}
    assert "solutions/01-tiny/hidden.py" in places
    assert "solutions/01-tiny/mistakes.py" in places
    assert "solutions/01-tiny/alternatives.py" in places


def test_a_module_of_an_unpublished_chapter_is_secret(mini_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "course"
    shutil.copytree(mini_root, root, ignore=shutil.ignore_patterns("build"))
    (root / "lib/tinylib/later.py").write_text(
        '"""Later."""\n\n\ndef spread(numbers):\n    return max(numbers) - min(numbers) + len(numbers)\n',
        encoding="utf-8",
    )
    write(tmp_path / "page.html", "return max(numbers) - min(numbers) + len(numbers)")
    leaks = list(find_leaks([tmp_path / "page.html"], secrets_of(load_course(root))))
    assert [leak.secret.place for leak in leaks] == ["lib/tinylib/later.py:5"]


def test_what_the_instructors_edition_shows_is_no_secret_there(mini_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "course"
    shutil.copytree(mini_root, root, ignore=shutil.ignore_patterns("build"))
    hidden = root / "solutions/01-tiny/hidden.py"
    line = "    largest, smallest = max(weights), min(weights)"
    hidden.write_text(f"{hidden.read_text(encoding='utf-8')}\n\ndef spread(weights):\n{line}\n", encoding="utf-8")
    page = root / "solutions/01-tiny/tiny.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace(SOLUTION, f"{line}\n{SOLUTION}"), encoding="utf-8")
    write(tmp_path / "page.html", line)
    course = load_course(root)
    assert not list(find_leaks([tmp_path / "page.html"], secrets_of(course, kinds=BESIDES_ANSWERS)))
    assert list(find_leaks([tmp_path / "page.html"], secrets_of(course)))


def test_a_name_that_a_guide_speaks_of_is_no_leak_but_a_quoted_line_is(mini_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "course"
    shutil.copytree(mini_root, root, ignore=shutil.ignore_patterns("build"))
    hidden = root / "solutions/01-tiny/hidden.py"
    line = "    return largest_weight(weights) > smallest_weight(weights)"
    hidden.write_text(f"{hidden.read_text(encoding='utf-8')}\n\ndef uneven(weights):\n{line}\n")
    guide = root / "book/making/writing-an-exercise.md"
    words = 'Search.setIndex({"terms":{"largest_weight":0,"smallest_weight":0}})'
    site = tmp_path / "site"
    site.mkdir()
    write(site / "searchindex.js", words)
    assert list(find_leaks([site / "searchindex.js"], secrets_of(load_course(root))))
    guide.write_text("# Writing\n\nWe call them `largest_weight` and `smallest_weight`.\n", encoding="utf-8")
    secrets = secrets_of(load_course(root))
    assert not list(find_leaks([site / "searchindex.js"], secrets))
    write(site / "guide.html", f"<p>{line}</p>")
    assert list(find_leaks([site / "guide.html"], secrets))


def test_public_lines_are_not_secret(mini: Course, repository: Path, tmp_path: Path) -> None:
    page = (mini.root / "solutions/01-tiny/tiny.md").read_text(encoding="utf-8")
    visible = page[: page.index("### BEGIN SOLUTION")]
    write(tmp_path / "visible.md", visible)
    # the floor of the library, and the documented API of hidden checks
    write(tmp_path / "floor.py", (mini.root / "lib/tinylib/__init__.py").read_text(encoding="utf-8"))
    write(tmp_path / "api.py", (repository / "grader/hidden.py").read_text(encoding="utf-8"))
    assert refuse_leaks(tmp_path, secrets_of(mini)) == 3


def test_a_page_whose_answers_were_not_stripped_does_not_make_them_public(mini: Course) -> None:
    """The list of public lines is worked out from the markers in the page, not from what the builder made."""
    assert squeeze(SOLUTION) in {secret.text for secret in secrets_of(mini)}


def test_damaged_archives_and_streams_are_passed_over(mini: Course, tmp_path: Path) -> None:
    write(tmp_path / "cut.gz", gzip.compress(b"a" * 1000)[:12])
    write(tmp_path / "noise.bin", bytes(range(256)) * 8 + b"\x78\x9c\xff\xff\xff")
    write(tmp_path / "text.txt", "A" * 41)
    assert refuse_leaks(tmp_path, secrets_of(mini)) == 3
