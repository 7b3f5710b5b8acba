"""Reasons for a teacher to look at a submission: facts that the engine saw, and no verdict.

None of them costs a point: points come from the judge alone. An honest student can have any of them.
"""

import ast
from collections.abc import Iterator, Sequence

from grader.execution.plan import Outcome
from grader.grading.assignment import Assignment
from grader.grading.extras import STUDENT_TAG
from grader.grading.recalling import Seen
from grader.hidden import Raised

MAX_REASONS = 20

STOPS = ("sent ", "closed its connection", "ended the process", "ended with", "used more than", "wrote more than")
"""What `grader.execution` says of a process that did more than hang."""

FORGED = ("the answer is not well formed", "the answer holds")
"""Words of answers that the program inside the sandbox does not send."""

NAMES = {
    "ctypes": "reaches past Python into the process",
    "_getframe": "looks at its callers",
    "currentframe": "looks at its callers",
    "f_back": "looks at its callers",
    "f_globals": "looks at its callers",
    "get_objects": "searches the memory of the process",
    "get_referrers": "searches the memory of the process",
    "__subclasses__": "searches the memory of the process",
    "settrace": "watches what other code does",
    "setprofile": "watches what other code does",
    "ast_transformers": "changes how cells are run",
    "input_transformers_cleanup": "changes how cells are run",
    "input_transformers_post": "changes how cells are run",
    "run_cell": "changes how cells are run",
    "_exit": "ends the process",
    "fork": "starts processes",
    "kill": "sends signals",
    "socket": "asks for the network",
    "urllib": "asks for the network",
    "requests": "asks for the network",
    "subprocess": "starts processes",
    "multiprocessing": "starts processes",
}
PLACES = ("/proc/", "gradebook.db", "hidden.py", "/etc/passwd", ".secret")


def reasons_to_look(assignment: Assignment, seen: Seen, outcome: Outcome) -> list[str]:
    """What the engine saw of one submission that a teacher may want to look at, most telling first."""
    reasons = [words for words in outcome.notes.values() if any(stop in words for stop in STOPS)]
    if len(reasons) > 2:
        reasons.insert(0, f"its process ended or was stopped {len(reasons)} times")
    for exercise in assignment.exercises:
        answers = outcome.answers.get(exercise.label, ())
        if any(isinstance(answer, Raised) and answer.message.startswith(FORGED) for answer in answers):
            reasons.insert(0, f"{exercise.name}: something else than the grader's program answered for it")
        if exercise.label in seen.kept.refused:
            reasons.append(f"{exercise.name}: a forbidden shortcut")
    own = [cell.source for cell in seen.prepared.notebook.cells if STUDENT_TAG in cell.metadata.get("tags", ())]
    reasons += _named([*seen.prepared.answers.values(), *own])
    return list(dict.fromkeys(reasons))[:MAX_REASONS]


def _named(sources: Sequence[str]) -> Iterator[str]:
    """Names and places in the student's code that an exercise of arithmetic seldom needs."""
    for source in sources:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            for name in _names_in(node):
                if name in NAMES:
                    yield f"the code names `{name}`, which {NAMES[name]}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from (f"the code names `{place}`" for place in PLACES if place in node.value)


def _names_in(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").split(".")[0], *(alias.name for alias in node.names)]
    return [node.id] if isinstance(node, ast.Name) else []
