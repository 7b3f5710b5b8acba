"""The notebooks of a chapter: nbgrader's source notebook, the student notebook, and the book's.

All are pure functions of the course's files, equal to the byte each time. nbgrader's metadata is derived from
the tags, never written by hand; what students must not see is removed by nbgrader's own preprocessors.
"""

import hashlib
from typing import Any

from nbformat import NotebookNode, from_dict, v4

from grader.authoring.book_form import BookForm
from grader.authoring.cell_rules import BEGIN, END
from grader.authoring.checking import load_page
from grader.authoring.notebook_form import NotebookForm
from grader.authoring.page import Cell, Page, chapter_number, counted
from grader.course import Chapter, Course

CODE_STUB = """\
# Write your code here, in place of the next line.
raise NotImplementedError("this exercise is not solved yet")"""
TEXT_STUB = "*Write your answer here.*"

HIDDEN_BLOCK = """\
### BEGIN HIDDEN TESTS
from grader.stock import hidden_check
hidden_check("{chapter}", "{label}", globals())
### END HIDDEN TESTS
"""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}

OPENING = """\
*{course}*, edition {edition} · chapter {number}: {title} · {points}{hours}

Write your code where a cell says so. **Run → Run All Cells** goes on past an exercise that is not solved yet.
The checks below an answer are examples with a diagnosis; further checks decide the points. Save, and hand in
this file under its own name."""


def source_notebook(course: Course, chapter: Chapter, page: Page | None = None) -> NotebookNode:
    """nbgrader's source notebook: solutions, and a call of the hidden check on top of each checks cell.

    Args:
        course: the course.
        chapter: one of its chapters.
        page: the chapter's page, where it is read and checked already.

    Raises:
        AuthoringError: when the page breaks a rule of its cells or cards.
    """
    page = page or load_page(course, chapter)
    form = NotebookForm(course, page)
    cells = [v4.new_markdown_cell(_opening(course, page), id="about-this-notebook")]
    for cell in page.cells:
        if cell.kind == "markdown" and cell.role is None:
            text, attachments = form.cell(cell.source)
            cells.append(_markdown(text, attachments))
        else:
            cells.append(_graded_or_shown(page, cell))
    return _notebook(cells)


def student_notebook(course: Course, chapter: Chapter) -> NotebookNode:
    """The student notebook: what `hand_out` makes of the source notebook.

    Raises:
        AuthoringError: when the page breaks a rule of its cells or cards.
    """
    return hand_out(source_notebook(course, chapter))


def hand_out(source: NotebookNode) -> NotebookNode:
    """A copy of a source notebook after nbgrader's own steps of generate_assignment."""
    from nbgrader import preprocessors as steps

    return run_steps(
        source,
        steps.LockCells,
        steps.ClearSolutions,
        steps.ClearOutput,
        steps.CheckCellMetadata,
        steps.ComputeChecksums,
        steps.ClearHiddenTests,
        steps.ClearMarkScheme,
        steps.ComputeChecksums,
        steps.CheckCellMetadata,
    )


def book_notebook(
    course: Course, chapter: Chapter, page: Page | None = None, with_solutions: bool = False
) -> NotebookNode:
    """The chapter for the book, to be executed: MyST text, solutions in place, no hidden checks.

    After it has run, pass it through `strip_solutions`, which keeps the outputs. With `with_solutions` there
    is nothing to strip: the markers are gone and the answers are folded away.
    """
    page = page or load_page(course, chapter)
    form = BookForm(course, page)
    cells = []
    for cell in page.cells:
        if cell.kind == "markdown" and cell.role is None:
            cells.append(_markdown(form.cell(cell.source), {}))
            continue
        made = _graded_or_shown(page, cell, hidden=False)
        tags = [tag for tag in cell.tags if tag.startswith("hide-")]
        if with_solutions and cell.role == "answer":
            tags.append("hide-input")
            made.metadata["mystnb"] = {"code_prompt_show": "Show the answer", "code_prompt_hide": "Hide the answer"}
            made.source = "\n".join(line for line in made.source.split("\n") if BEGIN not in line and END not in line)
        if with_solutions:
            made.metadata.pop("nbgrader", None)
        made.metadata["tags"] = list(dict.fromkeys(tags))
        if cell.options.get("alt"):
            made.metadata.setdefault("mystnb", {})["image"] = {"alt": str(cell.options["alt"])}
        cells.append(made)
    return _notebook(cells)


def strip_solutions(notebook: NotebookNode) -> NotebookNode:
    """A copy without solutions, hidden checks and mark schemes, by nbgrader's own steps; outputs stay."""
    from nbgrader import preprocessors as steps

    return run_steps(notebook, steps.ClearSolutions, steps.ClearHiddenTests, steps.ClearMarkScheme)


def run_steps(notebook: NotebookNode, *steps: Any) -> NotebookNode:
    """Pass a copy of the notebook through nbgrader's preprocessors, with this course's stubs."""
    from copy import deepcopy

    from traitlets.config import Config

    config = Config()
    config.ClearSolutions.code_stub = {"python": CODE_STUB}
    config.ClearSolutions.text_stub = TEXT_STUB
    made = deepcopy(notebook)
    resources: dict[str, Any] = {}
    for step in steps:
        made, resources = step(config=config).preprocess(made, resources)
    return made


def as_text(notebook: NotebookNode) -> str:
    """The notebook as its file's text: validated, keys sorted, one newline at the end."""
    import nbformat

    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)
    return text.rstrip("\n") + "\n"


def _opening(course: Course, page: Page) -> str:
    about = course.settings["course"]
    chapter = page.chapter
    return OPENING.format(
        course=about["title"],
        edition=about["edition"],
        number=chapter_number(chapter),
        title=chapter.title,
        points=chapter.worth,
        hours=f", about {counted(chapter.hours, 'hour')}" if chapter.hours else "",
    )


def _graded_or_shown(page: Page, cell: Cell, hidden: bool = True) -> NotebookNode:
    if cell.role == "essay":
        made = v4.new_markdown_cell(cell.source)
    else:
        source = cell.source
        if cell.role == "checks" and hidden:
            label = str(cell.label).removesuffix("-checks")
            source = HIDDEN_BLOCK.format(chapter=page.chapter.id, label=label) + source
        made = v4.new_code_cell(source)
    made.id = cell.label or _hashed(cell.source)
    if cell.role is not None:
        nbgrader = {
            "cell_type": made.cell_type,
            "grade": cell.role != "answer",
            "grade_id": cell.label,
            "locked": cell.role == "checks",
            "schema_version": 3,
            "solution": cell.role != "checks",
            "task": False,
        }
        points = {} if cell.role == "answer" else {"points": _whole(cell.points)}
        made.metadata["nbgrader"] = from_dict(nbgrader | points)
    if hidden and cell.kind == "code":
        # Jupyter's "Run All" goes on after an error in such a cell, so that an open exercise stops nothing
        made.metadata["tags"] = ["raises-exception", *(tag for tag in cell.tags if tag == "experiment")]
    if hidden and "hide-input" in cell.tags:
        made.metadata["jupyter"] = {"source_hidden": True}
    return made


def _whole(points: float | None) -> float | int | None:
    return int(points) if points is not None and points == int(points) else points


def _markdown(text: str, attachments: dict[str, dict[str, str]]) -> NotebookNode:
    made = v4.new_markdown_cell(text, id=_hashed(text))
    if attachments:
        made.attachments = from_dict(attachments)
    return made


def _notebook(cells: list[NotebookNode]) -> NotebookNode:
    seen: dict[str, int] = {}
    for cell in cells:
        name = cell.id
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            cell.id = f"{name}-{seen[name]}"
    notebook = v4.new_notebook(cells=cells, metadata=from_dict(METADATA))
    notebook.nbformat_minor = 5
    return notebook


def _hashed(text: str) -> str:
    return "cell-" + hashlib.sha256(text.encode()).hexdigest()[:12]
