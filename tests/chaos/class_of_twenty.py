"""A small class in which every way to end a run occurs: right, half right, wrong, crashing, hostile, damaged."""

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat

from grader.authoring.notebooks import student_notebook
from grader.course import load_course

MINI = Path(__file__).parents[1] / "grader" / "fixtures" / "mini"

ADD = "def add_up(numbers):\n    return float(sum(numbers))\n"
SHARES = (
    "def shares(weights):\n    total = sum(weights)\n"
    "    return [w / total if total else 1 / len(weights) for w in weights]\n"
)
HALF = "def shares(weights):\n    return [w / (sum(weights) or 1) for w in weights]\n"
LOUD = "import sys\nprint('adding', file=sys.stderr)\n"
LEAVES = "import os\ndef add_up(numbers):\n    os._exit(3)\n"
FAULTS = "import os, signal\ndef shares(weights):\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
NO_INPUT = "import IPython\nIPython.get_ipython().input_transformers_cleanup.append(lambda lines: [])\n"
LIES = "class Lie(float):\n    def __eq__(self, other): return True\ndef add_up(numbers): return Lie(7)\n"
CHILDREN = "import subprocess\nsubprocess.Popen(['sleep', '60'])\n"
WRITES = "open('/tmp/gradebook.db', 'w').write('x' * 1000)\n"
PRINTS = "print('x' * 300_000)\n"

ANSWERS: dict[str, tuple[str, str]] = {
    "right-1": (ADD, SHARES),
    "half-1": (ADD, HALF),
    "leaves-in-check": (LEAVES, SHARES),
    "right-2": ("import math\ndef add_up(numbers):\n    return math.fsum(numbers)\n", SHARES),
    "wrong": ("def add_up(numbers):\n    return 0.0\n", "def shares(weights):\n    return weights\n"),
    "no-syntax": ("def add_up(:", SHARES),
    "faults-in-check": (ADD, FAULTS),
    "loud": (LOUD + ADD, SHARES),
    "untouched": ("", ""),
    "leaves-at-once": ("import os\nos._exit(0)\n", SHARES),
    "half-2": (ADD, HALF),
    "no-input": (NO_INPUT, SHARES),
    "lies": (LIES, HALF),
    "children": (CHILDREN + ADD, SHARES),
    "writes": (WRITES + ADD, SHARES),
    "prints": (PRINTS + ADD, SHARES),
    "right-3": (ADD, SHARES),
}
DAMAGED = ("twice", "no-checks", "not-json")


def make_course(root: Path) -> None:
    """A copy of the miniature course in `root`, with no class in it."""
    shutil.copytree(MINI, root, ignore=shutil.ignore_patterns("build", "class", "__pycache__"))


def hand_in(root: Path, count: int | None = None) -> list[str]:
    """Put the class's submissions into `root`/class, the first `count` of them; their students."""
    course = load_course(root)
    untouched = student_notebook(course, course.chapters[0])
    made: dict[str, str] = {}
    for name, (add_up, shares) in ANSWERS.items():
        made[name] = json.dumps(_answered(untouched, add_up, shares))
    twice = _answered(untouched, ADD, SHARES)
    twice.cells += [cell for cell in twice.cells if _label(cell).endswith("-checks")]
    without = _answered(untouched, ADD, HALF)
    without.cells = [cell for cell in without.cells if not _label(cell).endswith("-checks")]
    made |= dict(zip(DAMAGED, (json.dumps(twice), json.dumps(without), "{ not a notebook"), strict=True))
    order = sorted(made, key=lambda name: sum(map(ord, name)))[:count]
    for name in order:
        path = root / "class" / "submitted" / name / "01-tiny" / "tiny.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(made[name], encoding="utf-8")
    return sorted(order)


def _answered(untouched: Any, add_up: str, shares: str) -> Any:
    notebook = nbformat.from_dict(json.loads(json.dumps(untouched)))
    for cell in notebook.cells:
        answer = {"add-up": add_up, "shares": shares}.get(_label(cell))
        if answer:
            cell.source = answer
    return notebook


def _label(cell: Any) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
