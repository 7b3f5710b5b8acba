"""From a course to build/book/site: execute, strip, build, mend, search for leaks, and only then publish."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from grader.book.chapter import write_chapter
from grader.book.executed import line_of
from grader.book.layout import LAYOUT, front_pages, write_layout
from grader.book.leak import refuse_leaks
from grader.book.polish import polish
from grader.book.secrets import BESIDES_ANSWERS, EVERYTHING, published_chapters, secrets_of
from grader.course import Course
from grader.errors import CourseError

Say = Callable[[str], None]

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
    course: Course, through: str | None = None, with_solutions: bool = False, say: Say = lambda words: None
) -> Site:
    """Build the book; the finished site appears at once, or the last one stays.

    The instructor's edition has a folder of its own, so that neither is ever taken for the other.

    Raises:
        AuthoringError: a cell that fails, a picture without words, a formula or reference that is wrong.
        LeakError: when something secret is in the finished site or in what it was made from.
        EnvironmentProblem: when node or KaTeX is missing.
    """
    chapters = published_chapters(course, through)
    base = course.build / ("book-with-solutions" if with_solutions else "book")
    source, html, doctrees = base / "src", base / "html", base / "doctrees"
    source.mkdir(parents=True, exist_ok=True)
    written = front_pages(course, source)
    for chapter in chapters:
        run, files = write_chapter(
            course,
            chapter,
            source,
            with_solutions,
            partial(_announce, say, chapter.id),
        )
        written += files
        say(f"{chapter.id}: " + ("outputs of an earlier run" if run.cached else f"ran in {run.seconds:.0f} s"))
    before = (source / "_toc.yml").read_text(encoding="utf-8") if (source / "_toc.yml").is_file() else ""
    # before the table of contents is made of what lies there: a page may have been taken out of the book
    _remove_others(source, [*written, *(source / name for name in LAYOUT)])
    written += write_layout(course, chapters, source)
    _remove_others(source, written)
    if before != (source / "_toc.yml").read_text(encoding="utf-8"):
        # Sphinx leaves the pages of chapters that are gone, and old sidebars
        for folder in (html, doctrees):
            shutil.rmtree(folder, ignore_errors=True)
    say("Sphinx: warnings are errors")
    _run_sphinx(course, source, html, doctrees)
    part = base / "site.part"
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(html, part, ignore=shutil.ignore_patterns(*NEEDLESS))
    polish(part, commit_of(course.root))
    secrets = secrets_of(course, through, BESIDES_ANSWERS if with_solutions else EVERYTHING, with_library=False)
    say(f"leak check: {len(secrets)} secret lines")
    for folder in (source, doctrees, part):
        files_read = refuse_leaks(folder, secrets)
    site, old = base / "site", base / "site.old"
    if site.exists():
        site.rename(old)
    part.rename(site)
    shutil.rmtree(old, ignore_errors=True)
    return Site(site, files_read, len(secrets))


def commit_of(root: Path) -> str:
    """The short name of the commit the course is at, a plus when there are changes; empty outside of git."""
    if shutil.which("git") is None:
        return ""
    words = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _announce(say: Say, name: str, done: int, total: int) -> None:
    say(f"execute {name}: cell {done} of {total}")


def _remove_others(source: Path, written: list[Path]) -> None:
    keep = set(written)
    for path in source.rglob("*"):
        if path.is_file() and path not in keep:
            path.unlink()


def _run_sphinx(course: Course, source: Path, html: Path, doctrees: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "grader.book.sphinx_run", str(source), str(html), str(doctrees)],
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
