"""What must be true of a page's cells: tags, labels, points, solution markers, code that parses."""

import ast
import re

from grader.authoring.cell_names import parse_cell
from grader.authoring.page import OTHER_TAGS, POINTS, ROLES, Cell, Page, counted
from grader.authoring.problems import Problems

LABEL = re.compile(r"[a-z][a-z0-9-]{0,63}")
OPTIONS = ("label", "tags", "alt")
BEGIN, END = "BEGIN SOLUTION", "END SOLUTION"
RESERVED = {
    "BEGIN HIDDEN TESTS": "hidden checks are written in hidden.py",
    "BEGIN MARK SCHEME": "write for the marker in the chapter's notes",
}


def check_cells(page: Page, problems: Problems) -> None:
    """Report every cell that breaks a rule."""
    for cell in page.cells:
        _check_options(page, cell, problems)
        _check_tags(page, cell, problems)
        _check_markers(page, cell, problems)
        if cell.kind == "code" and syntax_tree(cell.source) is None:
            _report_syntax(page, cell, problems)
        elif cell.role == "answer" and syntax_tree(without_solution(cell.source)) is None:
            problems.add(
                page.path,
                cell.opening,
                f"without its solution the answer {cell.label!r} does not parse",
                "indent ### BEGIN SOLUTION like the code it stands for: the stub is put at its place",
            )
    _check_labels(page, problems)
    _check_pairs(page, problems)
    total = sum(cell.points or 0 for cell in page.cells if cell.role in ("checks", "essay"))
    if total != page.chapter.points:
        problems.add(
            page.path,
            None,
            f"the exercises have {counted(total, 'point')} together, but course.toml gives the chapter "
            f"{page.chapter.points:g}",
            "change a points-N tag, or `points` in course.toml",
        )


def _check_options(page: Page, cell: Cell, problems: Problems) -> None:
    for key in cell.options:
        if key not in OPTIONS:
            problems.add(page.path, cell.opening, f"unknown option :{key}:", f"a cell has {', '.join(OPTIONS)}")
    alt = cell.options.get("alt")
    if alt is not None and not str(alt).strip():
        problems.add(page.path, cell.opening, "an empty :alt:", "say in words what the picture shows")
    if alt is None and "plt.show()" in cell.source:
        remedy = 'add a line `:alt: "what it shows"` below the cell\'s {code-cell} line'
        problems.add(page.path, cell.opening, "a figure without :alt:", remedy)


def _check_tags(page: Page, cell: Cell, problems: Problems) -> None:
    def complain(problem: str, remedy: str) -> None:
        problems.add(page.path, cell.opening, problem, remedy)

    for tag in cell.tags:
        if tag not in ROLES + OTHER_TAGS and not POINTS.match(tag):
            complain(f"unknown tag {tag!r}", f"use {', '.join(ROLES)}, points-N, {', '.join(OTHER_TAGS)}")
    roles = [tag for tag in cell.tags if tag in ROLES]
    if len(roles) > 1:
        complain(f"a cell with {len(roles)} roles: {', '.join(roles)}", "keep one, and make cells of the others")
    points = [tag for tag in cell.tags if POINTS.match(tag)]
    if len(points) > 1:
        complain(f"a cell with {', '.join(points)}", "keep one points-N tag")
    if cell.role in ("checks", "essay"):
        if not points:
            complain(f"{cell.role} without points", "add a tag points-N, N being what a right answer earns")
        elif cell.points == 0:
            complain(f"{cell.role} worth 0 points", "give it at least a part of a point, or take the tag out")
    elif points:
        complain(f"{points[0]} on a cell that is not graded", "put the points on the checks cell")
    if cell.role == "essay" and cell.kind == "code":
        complain(
            "an essay in a code cell",
            'open it with +++ {"label": "…", "tags": ["essay", "points-N"]} instead',
        )
    if cell.role in ("answer", "checks") and cell.kind == "markdown":
        complain(f"{cell.role} in a Markdown cell", "use a {code-cell}, or the role essay")


def _check_labels(page: Page, problems: Problems) -> None:
    seen: dict[str, int] = {}
    for cell in page.cells:
        label = cell.label
        if label is None:
            if cell.role:
                problems.add(page.path, cell.opening, f"{cell.role} without a label", "add a line `:label: name`")
            continue
        if not LABEL.fullmatch(label):
            problems.add(
                page.path,
                cell.opening,
                f"malformed label {label!r}",
                "use small letters, digits and -, a letter first",
            )
        if label in seen:
            problems.add(
                page.path,
                cell.opening,
                f"the label {label!r} is already used in line {seen[label]}",
                "rename one",
            )
        seen.setdefault(label, cell.opening)


def _check_pairs(page: Page, problems: Problems) -> None:
    answers = {cell.label: cell for cell in page.cells if cell.role == "answer" and cell.label}
    checked = set()
    for cell in page.cells:
        if cell.role != "checks" or not cell.label:
            continue
        name = cell.label.removesuffix("-checks")
        answer = answers.get(name)
        if name == cell.label:
            problems.add(page.path, cell.opening, f"checks labelled {cell.label!r}", "label them ANSWER-checks")
        elif answer is None:
            problems.add(
                page.path,
                cell.opening,
                f"checks without an answer: there is no answer cell {name!r}",
                "add it, or rename the checks",
            )
        elif answer.opening > cell.opening:
            problems.add(
                page.path,
                cell.opening,
                f"the checks of {name!r} come before the answer",
                "move them below it",
            )
        checked.add(name)
    for label, cell in answers.items():
        if label not in checked:
            problems.add(
                page.path,
                cell.opening,
                f"the answer {label!r} has no checks",
                f"add a cell tagged [checks, points-N], label {label}-checks",
            )


def _check_markers(page: Page, cell: Cell, problems: Problems) -> None:
    begun = ended = 0
    for number, text in enumerate(cell.source.split("\n"), cell.line):
        for words, remedy in RESERVED.items():
            if words in text:
                problems.add(page.path, number, f"{words!r} in a page", remedy)
        if BEGIN not in text and END not in text:
            continue
        if cell.role != "answer":
            problems.add(
                page.path,
                number,
                "a solution marker in a cell that is not an answer",
                "tag the cell [answer]",
            )
            return
        begun, ended = begun + (BEGIN in text), ended + (END in text)
        if not ended <= begun <= ended + 1:
            problem = f"{BEGIN} inside a solution" if BEGIN in text else f"{END} without {BEGIN}"
            problems.add(
                page.path,
                number,
                problem,
                "write the markers in pairs: ### BEGIN SOLUTION … ### END SOLUTION",
            )
            return
    if cell.role == "answer" and not begun:
        problems.add(
            page.path,
            cell.opening,
            f"the answer {cell.label!r} has no {BEGIN}",
            "put ### BEGIN SOLUTION and ### END SOLUTION around what students write",
        )
    elif begun > ended:
        problems.add(page.path, cell.opening, f"{BEGIN} without {END}", "close the solution with ### END SOLUTION")


def without_solution(source: str) -> str:
    """The answer cell as nbgrader will leave it, with `raise NotImplementedError` as the stub.

    >>> print(without_solution("def f():\\n    ### BEGIN SOLUTION\\n    return 1\\n    ### END SOLUTION"))
    def f():
        raise NotImplementedError
    """
    lines, inside = [], False
    for line in source.split("\n"):
        if BEGIN in line:
            lines.append(line[: len(line) - len(line.lstrip())] + "raise NotImplementedError")
        inside = (inside or BEGIN in line) and END not in line
        if not inside and END not in line:
            lines.append(line)
    return "\n".join(lines)


def syntax_tree(source: str) -> ast.Module | None:
    """The parsed cell, or None."""
    try:
        return parse_cell(source)
    except SyntaxError:
        return None


def _report_syntax(page: Page, cell: Cell, problems: Problems) -> None:
    try:
        ast.parse(cell.source)
    except SyntaxError as error:
        line = cell.line + (error.lineno or 1) - 1
        problems.add(page.path, line, f"the code does not parse: {error.msg}", "correct it; the cell must be Python")
