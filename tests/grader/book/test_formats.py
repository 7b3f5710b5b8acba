"""What readers take along: a zip that opens by itself, an EPUB that is well-formed, PDFs; searched like the pages."""

import io
import posixpath
import re
import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from grader.book import formats
from grader.book.formats import make_zip
from grader.book.leak import LeakError, refuse_leaks
from grader.book.secrets import secrets_of
from grader.book.site import Site, build_site
from grader.course import Course, load_course
from grader.errors import EnvironmentProblem
from tests.grader.book.test_leak import SOLUTION


@pytest.fixture(scope="module")
def site(mini: Course, student_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The miniature course with a zip and an EPUB."""
    root = tmp_path_factory.mktemp("formats") / "course"
    shutil.copytree(mini.root, root, ignore=shutil.ignore_patterns("book-with-solutions"))
    return build_site(load_course(root), formats=["zip", "epub"])


def test_the_zip_is_the_site_without_links_to_itself(site: Site) -> None:
    with zipfile.ZipFile(site.folder / "downloads/tiny-numbers.zip") as archive:
        names = set(archive.namelist())
        index = archive.read("tiny-numbers/index.html").decode()
    there = {path.relative_to(site.folder).as_posix() for path in site.folder.rglob("*") if path.is_file()}
    assert names == {f"tiny-numbers/{name}" for name in there if not name.startswith("downloads/")}
    assert "downloads/" not in index


def test_the_same_site_makes_the_same_zip(site: Site, tmp_path: Path) -> None:
    archives = [
        make_zip(site.folder, tmp_path / name / "a.zip") for name in ("b", "c") if not (tmp_path / name).mkdir()
    ]
    assert archives[0].path.read_bytes() == archives[1].path.read_bytes()


def test_the_front_page_and_the_status_lead_to_what_was_made_and_to_nothing_else(
    site: Site, student_site: Site
) -> None:
    for name in ("index.html", "status.html"):
        page = (site.folder / name).read_text(encoding="utf-8")
        links = re.findall(r'href="(downloads/[^"]*)"', page)
        assert links == ["downloads/tiny-numbers.zip", "downloads/tiny-numbers.epub"]
        assert all((site.folder / link).is_file() for link in links)
        assert "downloads/" not in (student_site.folder / name).read_text(encoding="utf-8")


def test_the_epub_is_well_formed_and_every_part_of_it_is_there(site: Site) -> None:
    with zipfile.ZipFile(site.folder / "downloads/tiny-numbers.epub") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert next(iter(files)) == "mimetype"
    package = ElementTree.fromstring(files["content.opf"])
    items = [item for item in package.iter() if item.tag.endswith("}item")]
    assert {str(item.get("href")) for item in items} <= set(files)
    formulas = {str(item.get("href")) for item in items if item.get("properties") == "mathml"}
    assert formulas == {name for name, data in files.items() if name.endswith(".xhtml") and b"<math" in data}
    assert formulas == {"chapters/01-tiny/tiny.xhtml"}
    for name, data in files.items():
        if name.endswith((".xhtml", ".ncx", ".opf")):
            ElementTree.parse(io.BytesIO(data.replace(b"<!DOCTYPE html>", b"").replace(b"&nbsp;", b" ")))
        for link in re.findall(rb'<link rel="stylesheet"[^>]* href="([^"]*)"', data):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(name), link.decode())) in files
    assert b"<script" not in files["chapters/01-tiny/tiny.xhtml"]
    assert b"Adding and sharing" in files["nav.xhtml"]


def planted(path: Path, member: str) -> None:
    """A line of a solution at the end of a member of an archive."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files[member] += f"<!-- {SOLUTION} -->".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("name", "member"), [("tiny-numbers.zip", "tiny-numbers/status.html"), ("tiny-numbers.epub", "status.xhtml")]
)
def test_a_line_of_an_answer_in_an_archive_is_found(
    name: str, member: str, site: Site, mini: Course, tmp_path: Path
) -> None:
    shutil.copyfile(site.folder / "downloads" / name, tmp_path / name)
    secrets = secrets_of(mini, with_library=False)
    assert refuse_leaks(tmp_path, secrets) == 1
    planted(tmp_path / name, member)
    with pytest.raises(LeakError, match=re.escape(member)):
        refuse_leaks(tmp_path, secrets)


def test_without_chromium_the_error_says_what_to_install_before_anything_runs(
    mini: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "BROWSERS", ("no-such-browser",))
    monkeypatch.setattr("grader.book.site.execute_all", lambda *words: pytest.fail("it ran"))
    with pytest.raises(EnvironmentProblem, match="apt-get install chromium"):
        build_site(mini, formats=["pdf"])


def test_a_damaged_pdf_is_reported_as_not_searched(mini: Course, tmp_path: Path) -> None:
    (tmp_path / "cut.pdf").write_bytes(b"%PDF-1.7\nno objects at all\n")
    with pytest.raises(LeakError, match=r"cut\.pdf: cannot be searched whole: (?:a damaged PDF|a PDF, and pypdf)"):
        refuse_leaks(tmp_path, secrets_of(mini))


@pytest.mark.browser
@pytest.mark.skipif(not any(map(shutil.which, formats.BROWSERS)), reason="no chromium: `make setup`")
def test_a_printed_chapter_has_its_text_no_path_of_this_machine_and_no_answer(
    mini: Course, student_site: Site, instructor_site: Site, tmp_path: Path
) -> None:
    pypdf = pytest.importorskip("pypdf", reason="the letters of a PDF are read by pypdf")
    made = {}
    for edition, built in (("student", student_site), ("instructor", instructor_site)):
        (tmp_path / edition).mkdir()
        pages = [("chapters/01-tiny/tiny", "Adding")]
        made[edition] = formats.make_pdfs(built.folder, pages, tmp_path / edition, edition == "instructor")[0].path
    text = "\n".join(page.extract_text() for page in pypdf.PdfReader(made["student"]).pages)
    assert "the visible checks pass" in text
    assert "Start from 0 and add one number after the other" in text, "what is folded on the page is not on paper"
    assert b"file:" not in made["student"].read_bytes()
    secrets = secrets_of(mini, with_library=False)
    assert refuse_leaks(tmp_path / "student", secrets) == 1
    with pytest.raises(LeakError, match=r"01-tiny\.pdf: holds solutions/01-tiny.*in the letters of the PDF"):
        refuse_leaks(tmp_path / "instructor", secrets)
