"""One chapter for Sphinx: run with its answers, then a copy without them, with its facts under the title."""

import re
import shutil
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from grader.book.executed import code_cells, line_of
from grader.book.lookup import Built, duration
from grader.book.unpublished import without_unpublished
from grader.course import Chapter, Course
from grader.errors import AuthoringError

BIBLIOGRAPHY = re.compile(
    r"^(?:\#+[ ][^\n]*\n+)?(?P<fence>:{3,}|`{3,})\{bibliography\}.*?^(?P=fence)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
"""A chapter's own list of references, with its heading: the notebook has it, the book has one page."""

DRAWS = re.compile(r"<(?:script|svg|canvas|img)\b", re.IGNORECASE)
"""HTML that is more than text and tables: a picture, or a figure that a reader can work."""

LAUNCH = {"jupyterhub": "JupyterHub", "colab": "Colab", "binder": "Binder"}


def write_chapter(
    course: Course, built: Built, source: Path, missing: Mapping[str, str], with_solutions: bool = False
) -> list[Path]:
    """Write the chapter's page, figures and student notebook below `source`; the page never holds an answer.

    Args:
        course: the course.
        built: one of its chapters; its notebook, made for the same edition, is changed here.
        source: the folder that Sphinx will read.
        missing: what this edition does not have (`unpublished_targets`).
        with_solutions: whether the page keeps the answers.

    Returns the files written.

    Raises:
        AuthoringError: when a cell draws a picture or an interactive figure that has no words.
    """
    from grader.authoring.notebooks import as_text, hand_out, source_notebook, strip_solutions
    from grader.authoring.targets import book_docname

    chapter, notebook, run = built.chapter, built.notebook, built.run
    words = facts(course, built)
    for cell, outputs in zip(code_cells(notebook), run.outputs, strict=True):
        cell.outputs = _published(chapter, cell, outputs)
    page = notebook if with_solutions else strip_solutions(notebook)
    student = hand_out(source_notebook(course, chapter, built.page))
    for cell in [*page.cells, *student.cells]:
        if cell.cell_type == "markdown":
            cell.source = without_unpublished(cell.source, missing)
    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = BIBLIOGRAPHY.sub("", cell.source)
    _add_facts(page, words)
    place = source / f"{book_docname(chapter)}.ipynb"
    folder = place.parent
    written = [write_text(place, as_text(page)), write_text(folder / "student" / place.name, as_text(student))]
    if chapter.figures.is_dir():
        for figure in sorted(path for path in chapter.figures.rglob("*") if path.is_file()):
            target = folder / "figures" / figure.relative_to(chapter.figures)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.is_file() or target.read_bytes() != figure.read_bytes():
                shutil.copyfile(figure, target)
            written.append(target)
    return written


def facts(course: Course, built: Built) -> str:
    """Under the title: time to read, to work, to run; points; the notebook, and where to open it."""
    chapter = built.chapter
    parts = [f"{built.minutes} min to read"]
    if chapter.hours:
        parts.append(f"{chapter.hours:g} h to work through")
    parts.append(chapter.worth)
    parts.append(f"all cells run in {duration(built.run.seconds)} on one core")
    stem = chapter.page.stem
    links = [f"{{download}}`Download the notebook <student/{stem}.ipynb>`"]
    relative = course.student_notebook(chapter).relative_to(course.root).as_posix()
    for key, name in LAUNCH.items():
        if url := course.settings["course"].get("launch", {}).get(key):
            links.append(f"[Open in {name}]({url.rstrip('/')}/{relative})")
    return f":::{{div}} chapter-facts\n{' · '.join(parts)}\n\n{' · '.join(links)}<!--pdf-->\n:::"


def _add_facts(notebook: Any, text: str) -> None:
    first = notebook.cells[0]
    title, _, rest = first.source.partition("\n")
    first.source = f"{title}\n\n{text}\n{rest}"


def _published(chapter: Chapter, cell: Any, outputs: list[dict[str, Any]]) -> list[Any]:
    """The outputs that readers see: no stderr (it names paths), every picture and every figure with its words."""
    import nbformat

    kept = [output for output in outputs if output.get("name") != "stderr"]
    words = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
    figures = [output for output in kept if DRAWS.search("".join(output.get("data", {}).get("text/html", "")))]
    drawn = any(kind.startswith("image/") for output in kept for kind in output.get("data", {}))
    if (drawn or figures) and not words:
        raise AuthoringError(
            chapter.page,
            line_of(chapter.page, cell.source),
            f"the cell draws {'a picture' if drawn else 'a figure'} that has no words for those who cannot see it",
            'add a line `:alt: "what it shows"` below the cell\'s {code-cell} line',
        )
    return [nbformat.from_dict(_named(output, words) if output in figures else output) for output in kept]


def _named(output: dict[str, Any], words: str) -> dict[str, Any]:
    """A figure in HTML with its words: pictures get theirs from myst-nb, and a page without HTML shows them."""
    html = "".join(output["data"]["text/html"])
    named = f'<div role="group" aria-label="{escape(words)}">\n{html}\n</div>'
    return {**output, "data": {**output["data"], "text/html": named, "text/plain": words}}


def write_text(path: Path, text: str) -> Path:
    """Write only what changed: Sphinx reads again what is newer than its last build."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path
