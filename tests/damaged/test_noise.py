"""Warnings, logging and text on stderr cost nothing: right answers of a real chapter keep full marks however loud."""

import ast

import pytest

from grader.demo.students import as_bytes, fill_in
from grader.execution.run import execute
from grader.loading import load_alternatives
from grader.proving.material import read_material

from .comparing import earned, planned, prepared
from .undamaged import Material, load_material

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

NOISE = '''
import logging as _logging, os as _os, sys as _sys, warnings as _warnings
from tqdm import tqdm as _tqdm

_logging.basicConfig(level=_logging.DEBUG)
_times = iter(range(30))


def _noise():
    """Loud thirty times, then only a line: some answers are called ten thousand times."""
    if next(_times, None) is None:
        return
    print("a note on stderr", file=_sys.stderr)
    print("a note on stdout")
    _os.write(2, b"from below\\n")
    _logging.getLogger("student").error("an error that is none")
    for kind in (UserWarning, DeprecationWarning, RuntimeWarning, FutureWarning, ResourceWarning):
        _warnings.warn("only a warning", kind)
    list(_tqdm(range(3), desc="busy"))


_noise()
'''


def noisy(code: str) -> str:
    """The same answer, loud in the cell and in each of its functions."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            start = 1 if ast.get_docstring(node) is not None else 0
            node.body.insert(start, ast.parse("_noise()").body[0])
    return f"{NOISE}\n{ast.unparse(ast.fix_missing_locations(tree))}\n_noise()\n"


@pytest.fixture(scope="module")
def material() -> Material:
    return load_material()


@pytest.mark.parametrize("choice", range(3))
def test_every_right_answer_keeps_full_marks_with_warnings_and_stderr(material: Material, choice: int) -> None:
    right = {
        cell.exercise: [cell.solution]
        for cell in read_material(material.course, material.chapter)
        if cell.role == "answer"
    }
    for other in load_alternatives(material.chapter.alternatives):
        right[other.exercise].append(other.code)
    codes = {label: noisy(answers[choice % len(answers)]) for label, answers in right.items()}
    ready = prepared(material.assignment, as_bytes(fill_in(material.assignment.skeleton, codes)))
    seen = []

    def run(plan):
        seen.append(execute(plan))
        return seen[0]

    points = earned(material.assignment, planned(material.assignment, ready), run)
    assert points == {each.label: each.points for each in material.assignment.exercises}
    loud = [output.get("name") for outputs in seen[0].outputs.values() for output in outputs]
    assert loud.count("stderr") >= len(codes), "the noise was made"
