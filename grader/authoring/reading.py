"""From the text of a page to cells, through jupytext, keeping every cell's line numbers."""

import re
import warnings

from grader.authoring.page import Cell
from grader.authoring.problems import Problems
from grader.course import Chapter, Course

HEADER = "begin the page with jupytext's header: format_name myst and kernelspec python3 (see another chapter)"


def read_cells(course: Course, chapter: Chapter, problems: Problems) -> list[Cell] | None:
    """The cells of a chapter's page, or None where there is nothing to read."""
    text = _text(course, chapter, problems)
    if text is None:
        return None
    from jupytext.myst import MystMetadataParsingError, myst_to_notebook

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "all code cells must have the same language": reported below
            notebook = myst_to_notebook(text, add_source_map=True)
    except MystMetadataParsingError as error:
        line = re.search(r"at line (\d+)", str(error))
        problem = f"the options cannot be read: {' '.join(str(error).split('could not be read: ')[-1].split())}"
        problems.add(chapter.page, int(line[1]) if line else 1, problem, "write options as `:key: value`, one a line")
        return None
    starts = notebook.metadata.pop("source_map")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        problems.add(chapter.page, 1, "the header has no kernelspec with the name python3", HEADER)
    if "jupytext" not in notebook.metadata:
        problems.add(chapter.page, 1, "the header does not say that the page is MyST", HEADER)
    lines = text.splitlines()
    cells = []
    for cell, start in zip(notebook.cells, starts, strict=True):
        line_of = _code_line if cell.cell_type == "code" else _markdown_line
        first, opening = line_of(lines, start)
        if cell.cell_type == "raw":
            problems.add(chapter.page, start, "a raw cell has no meaning here", "write it as text or as a code cell")
            continue
        cells.append(Cell(cell.cell_type, cell.source, first, opening, dict(cell.metadata)))
        if cell.cell_type == "code":
            _check_fence(lines, opening, chapter, problems)
    return cells


def _text(course: Course, chapter: Chapter, problems: Problems) -> str | None:
    toml = course.root / "course.toml"
    if not chapter.folder.is_dir():
        row = _line_with(toml.read_text(encoding="utf-8"), f'id = "{chapter.id}"')
        folder = chapter.folder.relative_to(course.root)
        problems.add(toml, row, f"{chapter.id} has no folder {folder}", "write the chapter there, or take out the row")
        return None
    if not chapter.page.is_file():
        problems.add(chapter.page, None, "the chapter's page is missing", "write it, with jupytext's header on top")
        return None
    try:
        text = chapter.page.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = chapter.page.read_bytes()[: error.start].count(b"\n") + 1
        problems.add(chapter.page, line, "the page is not UTF-8 here", "save the file as UTF-8")
        return None
    return text.removeprefix("\ufeff")


def _line_with(text: str, words: str) -> int | None:
    return next((number for number, line in enumerate(text.splitlines(), 1) if words in line), None)


def _markdown_line(lines: list[str], start: int) -> tuple[int, int]:
    line = start
    while line < len(lines) and not lines[line].strip():
        line += 1
    opened_by_break = start > 0 and lines[start - 1].startswith("+++")
    return line + 1, start if opened_by_break else line + 1


def _code_line(lines: list[str], start: int) -> tuple[int, int]:
    """`start` is the line of the fence; the source begins below the options and at most one blank line."""
    line = start
    if line < len(lines) and lines[line].startswith("---"):
        line = next((n + 1 for n in range(line + 1, len(lines)) if lines[n].startswith("---")), line)
    while line < len(lines) and lines[line].lstrip().startswith(":"):
        line += 1
    if line < len(lines) and not lines[line].strip():
        line += 1
    return line + 1, start


def _check_fence(lines: list[str], opening: int, chapter: Chapter, problems: Problems) -> None:
    """Two mistakes that jupytext passes over: a fence that is never closed, and another language."""
    match = re.match(r"\s*(`+|~+)\{code-cell\}\s*(\S*)", lines[opening - 1])
    if match is None:
        return
    if match[2] not in ("", "python", "ipython3", "python3"):
        problems.add(chapter.page, opening, f"a code cell in {match[2]!r}", "write ```{code-cell} python")
    fence = re.compile(rf"^\s*{match[1][0]}{{{len(match[1])},}}\s*$")
    if not any(fence.match(line) for line in lines[opening:]):
        problems.add(chapter.page, opening, "this code cell is never closed", f"end it with a line {match[1]}")
