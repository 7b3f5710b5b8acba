"""From a course to build/book/site: execute, strip, build, mend, search for leaks, and only then publish."""

import filecmp
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.book.chapter import write_chapter, write_text
from grader.book.executed import Run, execute_all, line_of
from grader.book.formats import find_browser, link_downloads, make_epub, make_pdfs, make_zip
from grader.book.layout import LAYOUT, STATIC, front_pages, write_layout
from grader.book.leak import refuse_leaks
from grader.book.light import lighten
from grader.book.lookup import Built, command_page, commit_of, index_page, status_page
from grader.book.polish import polish
from grader.book.reference import library_parts, reference_pages
from grader.book.secrets import BESIDES_ANSWERS, EVERYTHING, published_chapters, secrets_of
from grader.book.unpublished import unpublished_targets, without_unpublished
from grader.course import Chapter, Course
from grader.errors import CourseError

Say = Callable[[str, bool], None]
"""Called with words, and whether they are of the moment: the next ones may replace them."""

WARNING = re.compile(r"^(?P<path>/.+?):(?P<line>\d+): (?:WARNING|ERROR|CRITICAL): (?P<words>.*)$")
NEEDLESS = (".buildinfo*", "*.map", "fontawesome.js*", "fa-*.ttf", "locales", "*webpack-macros.html")
"""What the themes bring and no page loads; every browser that reads the pages reads woff2."""

LINES_A_CELL = 10_000
"""myst-nb reports line L of cell C of a notebook as C * 10000 + L."""


@dataclass(frozen=True)
class Site:
    """What was built."""

    folder: Path
    files: int
    secrets: int

    @property
    def megabytes(self) -> float:
        """The size of all files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()) / 1e6


def build_site(
    course: Course,
    through: str | None = None,
    with_solutions: bool = False,
    say: Say = lambda words, passing: None,
    jobs: int = 1,
    formats: Collection[str] = (),
) -> Site:
    """Build the book; the finished site appears at once, or the last one stays.

    The instructor's edition has a folder of its own, so that neither is ever taken for the other.

    Args:
        course: the course.
        through: the last chapter that is published (all without it).
        with_solutions: whether the answers are there, folded.
        say: told what goes on.
        jobs: chapters that are executed at one time.
        formats: what is made besides the pages, of `KINDS`.

    Raises:
        AuthoringError: a cell that fails, a picture without words, a formula or reference that is wrong.
        LeakError: when something secret is in the finished site or in what it was made from.
        EnvironmentProblem: when node or KaTeX is missing, or Chromium where it is to print.
    """
    from grader.authoring.checking import load_page
    from grader.authoring.notebooks import book_notebook

    if "pdf" in formats:
        find_browser()
    chapters = published_chapters(course, through)
    base = course.build / ("book-with-solutions" if with_solutions else "book")
    source, html, doctrees = base / "src", base / "html", base / "doctrees"
    source.mkdir(parents=True, exist_ok=True)
    pages = [load_page(course, chapter) for chapter in chapters]
    notebooks = [
        (chapter, book_notebook(course, chapter, page, with_solutions))
        for chapter, page in zip(chapters, pages, strict=True)
    ]
    board = Board(say, len(chapters))
    runs = execute_all(course, notebooks, jobs, board.progress, board.ended)
    built = [
        Built(chapter, page, notebook, run)
        for page, (chapter, notebook), run in zip(pages, notebooks, runs, strict=True)
    ]
    missing = unpublished_targets(course, chapters)
    written = [*front_pages(course, source, missing), *_made_pages(course, built, source, missing)]
    for each in built:
        written += write_chapter(course, each, source, missing, with_solutions)
    before = (source / "_toc.yml").read_text(encoding="utf-8") if (source / "_toc.yml").is_file() else ""
    # before the table of contents is made of what lies there: a page may have been taken out of the book
    _remove_others(source, [*written, *(source / name for name in LAYOUT)])
    written += write_layout(course, chapters, source)
    _remove_others(source, written)
    if before != (source / "_toc.yml").read_text(encoding="utf-8") or _has_other_static(html):
        # Sphinx leaves the pages of chapters that are gone, old sidebars, and old styles where no page changed
        for folder in (html, doctrees):
            shutil.rmtree(folder, ignore_errors=True)
    say("Sphinx: warnings are errors", True)
    _run_sphinx(course, source, html, doctrees)
    part = base / "site.part"
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(html, part, ignore=shutil.ignore_patterns(*NEEDLESS))
    polish(part, commit_of(course.root))
    lighten(part)
    _add_formats(course, chapters, part, formats, with_solutions, say)
    secrets = secrets_of(course, through, BESIDES_ANSWERS if with_solutions else EVERYTHING, with_library=False)
    say(f"leak check: {len(secrets)} secret lines", True)
    for folder in (source, doctrees, part):
        files_read = refuse_leaks(folder, secrets)
    site, old = base / "site", base / "site.old"
    if site.exists():
        site.rename(old)
    part.rename(site)
    shutil.rmtree(old, ignore_errors=True)
    return Site(site, files_read, len(secrets))


class Board:
    """What is said while chapters run: a line when one begins and ends, and where all that run are."""

    def __init__(self, say: Say, chapters: int) -> None:
        self._say = say
        self._chapters = chapters
        self._ended = 0
        self._cells: dict[str, str] = {}
        self._lock = threading.Lock()

    def progress(self, chapter: Chapter, done: int, total: int) -> None:
        """A cell of the chapter has ended (none yet: the chapter begins)."""
        with self._lock:
            if not done:
                self._say(f"{chapter.id}: runs", False)
            self._cells[chapter.id] = f"{chapter.id.split('-')[0]}: {done}/{total}"
            cells = ", ".join(self._cells[name] for name in sorted(self._cells))
            self._say(f"{self._ended} of {self._chapters} chapters; cells of {cells}", True)

    def ended(self, chapter: Chapter, run: Run) -> None:
        """All cells of the chapter have ended, or had in an earlier build."""
        with self._lock:
            self._cells.pop(chapter.id, None)
            self._ended += 1
            words = "outputs of an earlier run" if run.cached else f"ran, {run.seconds:.0f} CPU-seconds"
            self._say(f"{chapter.id}: {words}", False)


def _made_pages(course: Course, built: list[Built], source: Path, missing: Mapping[str, str]) -> list[Path]:
    """The pages that nobody writes."""
    parts = library_parts(course, tuple(each.chapter for each in built))
    glossary = course.root / "book" / "glossary.md"
    terms = glossary.read_text(encoding="utf-8") if glossary.is_file() else ""
    pages = {
        "terms.md": index_page(terms, built, parts),
        "status.md": status_page(course, built),
        "teaching/course-command.md": command_page(),
        **reference_pages(course, parts),
    }
    return [write_text(source / name, without_unpublished(text, missing)) for name, text in pages.items()]


def _add_formats(
    course: Course, chapters: Sequence[Chapter], site: Path, formats: Collection[str], with_solutions: bool, say: Say
) -> None:
    """What readers take along, and the links to it; the zip is made first, so that it has no link to itself."""
    from grader.authoring.targets import book_docname

    base, slug = site.parent, course.settings["course"]["slug"]
    folder = site / "downloads"
    if formats:
        folder.mkdir()
    made = []
    if "zip" in formats:
        say("zip", True)
        made.append(make_zip(site, folder / f"{slug}.zip"))
    if "epub" in formats:
        say("EPUB: warnings are errors", True)
        # Sphinx puts every file that lies there into the book
        shutil.rmtree(base / "epub", ignore_errors=True)
        _run_sphinx(course, base / "src", base / "epub", base / "doctrees", "epub")
        made.append(make_epub(base / "epub" / f"{slug}.epub", folder / f"{slug}.epub"))
    if "pdf" in formats:
        say("PDF of each chapter", True)
        pages = [(book_docname(chapter), chapter.title) for chapter in chapters]
        made += make_pdfs(site, pages, folder, with_solutions)
    link_downloads(site, made)


def _remove_others(source: Path, written: list[Path]) -> None:
    keep = set(written)
    for path in source.rglob("*"):
        if path.is_file() and path not in keep:
            path.unlink()


def _has_other_static(html: Path) -> bool:
    """Whether the last build had other styles and scripts of ours."""
    ours = [path.name for path in STATIC.iterdir()]
    same, _, _ = filecmp.cmpfiles(STATIC, html / "_static", ours, shallow=False)
    return len(same) < len(ours)


def _run_sphinx(course: Course, source: Path, output: Path, doctrees: Path, builder: str = "html") -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "grader.book.sphinx_run", str(source), str(output), str(doctrees), builder],
        cwd=course.root,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "0", "NO_COLOR": "1"},
        check=False,
    )
    log = source.parent / "sphinx.log"
    log.write_text(answer.stdout + answer.stderr, encoding="utf-8")
    if answer.returncode:
        words = [_translated(course, source, line) for line in answer.stderr.splitlines() if line.strip()]
        shown = "\n".join(f"  {line}" for line in words if "build finished with problems" not in line)
        # a failed page must be read again next time, whatever its age
        shutil.rmtree(doctrees, ignore_errors=True)
        raise CourseError(f"the book does not build without warnings:\n{shown}", f"correct these places; log: {log}")


def _translated(course: Course, source: Path, line: str) -> str:
    """A warning with the place in the committed source instead of the one in build/."""
    import nbformat

    from grader.authoring.targets import book_docname

    found = WARNING.match(re.sub(r"\x1b\[[0-9;]*m", "", line))
    if not found:
        return line
    path = Path(found["path"])
    if path.suffix == ".md" and path.is_relative_to(source):
        return f"book/{path.relative_to(source).as_posix()}:{found['line']}: {found['words']}"
    chapter = next((row for row in course.chapters if path == source / f"{book_docname(row)}.ipynb"), None)
    if chapter is None or not path.is_file():
        return line
    index, offset = divmod(int(found["line"]), LINES_A_CELL)
    cells = nbformat.read(path, as_version=4).cells
    place = None
    if 0 < index <= len(cells):
        lines = cells[index - 1].source.split("\n")
        place = line_of(chapter.page, lines[min(max(offset, 1), len(lines)) - 1])
    where = chapter.page.relative_to(course.root).as_posix()
    return f"{where}:{place}: {found['words']}" if place else f"{where} (cell {index}): {found['words']}"
