"""The students of the demo: what each hands in.

Nothing is typed in: answers are the chapter's own references, alternatives and mistakes. What they deserve
is found once they are handed in (`deserving`).
"""

import ast
import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbformat.v4 import new_code_cell

from grader.demo.hostile import EMPTIES_LATER_CELLS, ENDLESS_LOOP, ENDS_EVERYTHING, FORGES
from grader.proving.candidates import Candidate

WRONG_WAYS = ("carl-one-wrong-way", "dora-another-wrong-way", "egon-a-third-wrong-way")


@dataclass(frozen=True)
class Student:
    """One student of the demo.

    Attributes:
        name: also the name of the folder.
        story: what was handed in, for the scoreboard.
        data: the file.
        chosen: by exercise, the answer whose points are deserved.
        hostile: whether it attacks.
        deserved: by exercise, those points; empty until the hidden checks were asked.
    """

    name: str
    story: str
    data: bytes
    chosen: Mapping[str, Candidate]
    hostile: bool = False
    deserved: Mapping[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What the student wrote, as one text: the cells' sources, or the file where it is no notebook."""
        try:
            cells = json.loads(self.data)["cells"]
        except ValueError:
            return self.data.decode("utf-8", "replace")
        return "\n".join("".join(cell["source"]) for cell in cells)

    @property
    def total(self) -> float:
        """All points that are deserved."""
        return sum(self.deserved.values())


@dataclass
class Answers:
    """What can be written into the answer cells, by exercise in the order of the page."""

    reference: dict[str, Candidate] = field(default_factory=dict)
    stub: dict[str, Candidate] = field(default_factory=dict)
    alternatives: dict[str, list[Candidate]] = field(default_factory=dict)
    mistakes: dict[str, list[Candidate]] = field(default_factory=dict)


def sort_answers(candidates: Sequence[Candidate]) -> Answers:
    """The candidates of a chapter by exercise and kind."""
    answers = Answers()
    for item in candidates:
        if item.kind == "reference":
            answers.reference[item.exercise] = item
        elif item.kind == "stub":
            answers.stub[item.exercise] = item
        elif item.kind == "alternative":
            answers.alternatives.setdefault(item.exercise, []).append(item)
        elif item.kind == "mistake":
            answers.mistakes.setdefault(item.exercise, []).append(item)
    return answers


def make_students(skeleton: Any, answers: Answers, thief: str) -> list[Student]:
    """The whole class.

    Args:
        skeleton: the student notebook, as nbformat gives it.
        answers: what can be written into it.
        thief: the text of the thief's answer cell.
    """
    return [
        *_honest(skeleton, answers),
        *_wrong(skeleton, answers),
        *_damaged(skeleton, answers),
        *_hostile(skeleton, answers, thief),
    ]


def _honest(skeleton: Any, answers: Answers) -> Iterator[Student]:
    right, labels = answers.reference, list(answers.reference)
    yield _student("ada-all-right", "the reference answers", skeleton, right)
    other = {label: (answers.alternatives.get(label) or [right[label]])[0] for label in labels}
    yield _student("grace-another-way", "right answers written another way", skeleton, other)
    half = {**answers.stub, **{label: right[label] for label in labels[: (len(labels) + 1) // 2]}}
    yield _student("emmy-half-right", "the first half right, the rest untouched", skeleton, half)
    yield _student("fred-untouched", "handed in as it was given out", skeleton, answers.stub)
    noisy = {label: noisy_code(item.code) for label, item in right.items()}
    story = "right, with warnings and text on stderr"
    yield _student("gina-noisy", story, skeleton, right, sources=noisy)


def _wrong(skeleton: Any, answers: Answers) -> Iterator[Student]:
    for number, name in enumerate(WRONG_WAYS):
        chosen = {
            label: (answers.mistakes.get(label, [])[number : number + 1] or [stub])[0]
            for label, stub in answers.stub.items()
        }
        yield _student(name, f"mistake {number + 1} of each exercise", skeleton, chosen)
    last = list(answers.reference)[-1]
    slip = {**answers.reference, last: (answers.mistakes.get(last) or [answers.stub[last]])[0]}
    yield _student("lena-one-slip", "right, but a mistake in the last exercise", skeleton, slip)
    turns = {
        label: (answers.mistakes.get(label) or [item])[-1] if number % 2 else item
        for number, (label, item) in enumerate(answers.reference.items())
    }
    yield _student("mona-by-turns", "right answers and mistakes by turns", skeleton, turns)


def _damaged(skeleton: Any, answers: Answers) -> Iterator[Student]:
    labels = list(answers.reference)
    gone = f"{labels[len(labels) // 2]}-checks"
    without = copy.deepcopy(skeleton)
    without.cells = [c for c in without.cells if c.metadata.get("nbgrader", {}).get("grade_id") != gone]
    story = f"right, but the cell {gone} is deleted"
    yield _student("hugo-deleted-a-check", story, without, answers.reference)
    codes = {label: item.code for label, item in answers.reference.items()}
    lost = fill_in(skeleton, codes)
    for number, cell in enumerate(lost.cells):
        cell.metadata.clear()
        cell.id = f"lost-{number}"
    yield Student("ines-lost-metadata", "right, but all labels and ids are lost", as_bytes(lost), answers.reference)
    windows = fill_in(skeleton, codes)
    for cell in windows.cells:
        cell.source = cell.source.replace("\n", "\r\n")
    story = "right, from an editor that ends lines as Windows does and marks the file"
    yield Student(
        "kurt-other-editor", story, b"\xef\xbb\xbf" + as_bytes(windows).replace(b"\n", b"\r\n"), answers.reference
    )
    between = fill_in(skeleton, codes)
    between.cells = [
        each for n, cell in enumerate(between.cells) for each in (cell, new_code_cell("1 / 0", id=f"own-{n}"))
    ]
    story = "right, with a cell of their own behind every cell, each of which fails"
    yield Student("nora-own-cells", story, as_bytes(between), answers.reference)
    yield Student("jan-not-a-notebook", "a text that is not JSON", b"My homework is attached.\n", answers.stub)


def _hostile(skeleton: Any, answers: Answers, thief: str) -> Iterator[Student]:
    first, *_ = labels = list(answers.reference)
    for name, story, code in (
        ("mallory-empties-cells", "an input transformer that empties later cells", EMPTIES_LATER_CELLS),
        ("trudy-thief", "reads gradebook, hidden checks and others, and carries them out", thief),
    ):
        yield _student(name, story, skeleton, answers.stub, sources={first: code}, hostile=True)
    middle = labels[len(labels) // 2]
    story = f"right, but an endless loop in {middle}"
    looping = {**answers.reference, middle: answers.stub[middle]}
    sources = {middle: ENDLESS_LOOP + answers.reference[middle].code}
    yield _student("oscar-endless-loop", story, skeleton, looping, sources=sources, hostile=True)
    forged = {label: f"{FORGES}\n{item.code}" for label, item in answers.stub.items()}
    story = "prints, writes and patches in what a full score might look like"
    yield _student("quinn-forger", story, skeleton, answers.stub, sources=forged, hostile=True)
    story = f"right, but {middle} ends every process that it can reach"
    killing = {middle: f"{answers.reference[middle].code}\n{ENDS_EVERYTHING}"}
    yield _student("victor-ends-everything", story, skeleton, looping, sources=killing, hostile=True)


def _student(
    name: str,
    story: str,
    skeleton: Any,
    chosen: Mapping[str, Candidate],
    sources: Mapping[str, str] | None = None,
    hostile: bool = False,
) -> Student:
    """A student with the `chosen` candidates, who deserves what they do; `sources` replace their text."""
    codes = {label: item.code for label, item in chosen.items()} | dict(sources or {})
    return Student(name, story, as_bytes(fill_in(skeleton, codes)), chosen, hostile)


def fill_in(skeleton: Any, codes: Mapping[str, str]) -> Any:
    """A copy of the student notebook with these texts in its answer cells."""
    filled = copy.deepcopy(skeleton)
    for cell in filled.cells:
        label = cell.metadata.get("nbgrader", {}).get("grade_id")
        if label in codes:
            cell.source = codes[label]
    return filled


def as_bytes(notebook: Any) -> bytes:
    """A notebook as a file."""
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def noisy_code(code: str) -> str:
    """The same answer, printing to stderr and warning in the cell and in every call."""
    noise = 'print("a note on stderr", file=sys.stderr); warnings.warn("this is only a warning")'
    tree = ast.parse(f"import sys, warnings\n{noise}\n{code}")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            start = 1 if ast.get_docstring(node) is not None else 0
            node.body[start:start] = ast.parse(noise).body
    return ast.unparse(ast.fix_missing_locations(tree))
