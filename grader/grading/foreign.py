"""A notebook of an assignment that is not the course's: a teacher's own, in the same class folder.

Its cells run in the sandbox and its tests run among them, so what its checks say is the student's process's word.
Here that word becomes outputs that are harmless to look at and that nbgrader scores as it scores its own, with one
difference: a check that did not come to its end has earned nothing.
"""

import copy
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from grader.course import Budget
from grader.errors import EnvironmentProblem
from grader.execution.plan import Library, Outcome, Plan, PlanCell
from grader.grading.sanitising import safe_markdown, safe_outputs

NUMBER = re.compile(r"\s*\d+(\.\d*)?([eE][+-]?\d+)?\s*")
"""What a check may say as its result: the points that it gives, neither nan nor infinity."""


MAX_BESIDE_MB = 128
"""Of the files beside a notebook; each submission holds its copies in memory."""
MAX_LEVELS = 8
"""Of folders beside a notebook: a student can hand in folders in folders without end."""


def files_beside(folder: Path, submitted: Path) -> tuple[tuple[str, bytes], ...]:
    """What lies in a submission's folder besides notebooks: its own files and the teacher's, as nbgrader laid them.

    Args:
        folder: where nbgrader copied a submission and the teacher's files.
        submitted: where it was handed in. nbgrader copies what a student's links point to, whatever it is; what was
            a link there is left out here.

    Raises:
        EnvironmentProblem: when it is more than a sandbox should hold.
    """
    linked = {path.relative_to(submitted) for path in _below(submitted) if path.is_symlink()}
    paths = [
        path
        for path in _below(folder)
        if path.is_file() and not path.is_symlink() and path.suffix != ".ipynb"
        if linked.isdisjoint([path.relative_to(folder), *path.relative_to(folder).parents])
    ]
    megabytes = sum(path.stat().st_size for path in paths) / (1 << 20)
    if megabytes > MAX_BESIDE_MB:
        raise EnvironmentProblem(
            f"the files beside the notebook have {megabytes:.0f} MB, and a sandbox takes {MAX_BESIDE_MB} MB",
            "hand out a smaller extract, or install the data where every Python of this machine can read it",
        )
    return tuple((str(path.relative_to(folder)), path.read_bytes()) for path in paths)


def _below(folder: Path) -> list[Path]:
    """What lies in a folder, `MAX_LEVELS` deep."""
    return [path for level in range(1, MAX_LEVELS + 1) for path in sorted(folder.glob("/".join("*" * level)))]


def foreign_plan(name: str, notebook: Any, cell_seconds: float, beside: tuple[tuple[str, bytes], ...] = ()) -> Plan:
    """A plan that runs every code cell and probes nothing.

    Args:
        name: of student and assignment, for messages.
        notebook: as nbgrader has cleaned it.
        cell_seconds: the limit of each cell.
        beside: from `files_beside`.
    """
    cells = [(number, cell) for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    return Plan(
        name=name,
        cells=tuple(PlanCell(_key(number), cell.source) for number, cell in cells),
        probes=(),
        library=Library(beside=beside),
        budget=Budget(cell_seconds=cell_seconds, total_seconds=max(Budget.total_seconds, 10 * cell_seconds)),
    )


def teachers_texts(source: Path) -> set[str]:
    """The texts of a teacher's source notebook: those need not be made harmless. None where there is no such file."""
    import nbformat

    if not source.is_file():
        return set()
    return {cell.source for cell in nbformat.read(source, 4).cells if cell.cell_type != "code"}


def with_outputs(notebook: Any, outcome: Outcome, trusted: Collection[str]) -> Any:
    """The notebook with what its cells showed, and with every text of the student's made harmless.

    Args:
        notebook: as nbgrader has cleaned it; stays as it is.
        outcome: of `foreign_plan`.
        trusted: from `teachers_texts`.
    """
    finished = copy.deepcopy(notebook)
    # a student's metadata may hold widgets, which a page would start
    finished.metadata = {key: value for key, value in finished.metadata.items() if key == "kernelspec"}
    for number, cell in enumerate(finished.cells):
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "nbgrader"}
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = _outputs(cell, _key(number), outcome)
        elif cell.source not in trusted and not _is_untouched(cell):
            cell.pop("attachments", None)
            cell.source = safe_markdown(cell.source)
    return finished


def _key(number: int) -> str:
    return f"cell-{number}"


def _is_untouched(cell: Any) -> bool:
    """Whether an answer holds what the student was given: nbgrader tells by its checksum, and gives 0."""
    from nbgrader.utils import compute_checksum

    checksum = cell.metadata.get("nbgrader", {}).get("checksum")
    return checksum is not None and checksum == compute_checksum(cell)


def _outputs(cell: Any, key: str, outcome: Outcome) -> list[Any]:
    """What a cell showed; with an error where it did not come to its end: nbgrader gives full marks to silence."""
    shown = outcome.outputs.get(key, [])
    outputs = safe_outputs(shown)
    words = outcome.notes.get(key) or ("" if key in outcome.outputs else "this cell was not reached")
    if words:
        return [*outputs, _error("Stopped", words)]
    result = next((output for output in shown if output["output_type"] == "execute_result"), None)
    about = cell.metadata.get("nbgrader", {})
    if result is None or not about.get("grade") or about.get("solution"):
        return outputs
    said = str(result["data"].get("text/plain", ""))
    if not NUMBER.fullmatch(said):
        return outputs
    if float(said) > about["points"]:
        words = f"the result of this check is {said[:20]}, and it can give {about['points']:g} points"
        return [*outputs, _error("TooManyPoints", words)]
    return [*outputs, _number(float(said))]


def _number(points: float) -> Any:
    from nbformat.v4 import new_output

    return new_output("execute_result", data={"text/plain": repr(points)}, execution_count=None)


def _error(name: str, words: str) -> Any:
    from nbformat.v4 import new_output

    return new_output("error", ename=name, evalue=words, traceback=[words])
