"""Courses and classes to grade: the same notebooks for nbgrader alone and for `course grade`."""

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.authoring.notebooks import CODE_STUB, TEXT_STUB, source_notebook, student_notebook
from grader.course import Chapter, Course, load_course
from grader.demo.students import as_bytes, fill_in
from grader.loading import load_alternatives, load_mistakes
from grader.proving.material import read_material

ROOT = Path(__file__).resolve().parents[3]
MINI = ROOT / "tests" / "grader" / "fixtures" / "mini"

STOCK_CONFIG = """
import os
c = get_config()
os.environ["COURSE_ROOT"] = {course!r}
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [{library!r}, os.environ.get("PYTHONPATH")]))
c.CourseDirectory.course_id = "bench"
c.CourseDirectory.root = {root!r}
c.Execute.timeout = {seconds}
c.ClearSolutions.code_stub = {{"python": {code_stub!r}}}
c.ClearSolutions.text_stub = {text_stub!r}
"""


@dataclass(frozen=True)
class Subject:
    """One notebook that is graded: its course, and what the table calls it."""

    name: str
    words: str
    course: Course

    @property
    def chapter(self) -> Chapter:
        return self.course.chapters[0]

    @property
    def solutions(self) -> dict[str, str]:
        """The reference answers."""
        return {
            cell.exercise: cell.solution for cell in read_material(self.course, self.chapter) if cell.role == "answer"
        }


def subjects(folder: Path) -> list[Subject]:
    """The four notebooks of the table; courses that have to be made are made in `folder`."""
    return [
        Subject("trivial", "two functions, no import", load_course(MINI)),
        Subject("chapter 1", "chapter 1, all right", load_course(ROOT)),
        Subject("torch", "imports torch, does little", _importing(folder, "torch", "torch.ones(2)")),
        Subject(
            "sentence-transformers",
            "imports sentence-transformers, does little",
            _importing(folder, "sentence_transformers", "sentence_transformers.__version__"),
        ),
    ]


def _importing(folder: Path, module: str, use: str) -> Course:
    """The miniature course with one import more."""
    root = folder / f"course-{module}"
    shutil.copytree(MINI, root, ignore=shutil.ignore_patterns("build", "class", "__pycache__"))
    page = root / "solutions" / "01-tiny" / "tiny.md"
    text = page.read_text(encoding="utf-8")
    assert "import tinylib\n\nprint(" in text
    more = f"import {module}\nimport tinylib\n\nprint({use})\nprint("
    page.write_text(text.replace("import tinylib\n\nprint(", more), encoding="utf-8")
    settings = root / "course.toml"
    text = settings.read_text(encoding="utf-8")
    # a cold import on a busy machine takes longer than the fixture allows a cell
    roomy = text.replace("cell_seconds = 10", "cell_seconds = 300").replace("total_seconds = 60", "total_seconds = 900")
    assert roomy != text
    settings.write_text(roomy, encoding="utf-8")
    return load_course(root)


def right_submissions(subject: Subject, count: int) -> Iterator[tuple[str, bytes]]:
    """Students' names and right notebooks, each with other bytes."""
    skeleton, solutions = student_notebook(subject.course, subject.chapter), subject.solutions
    for number in range(count):
        codes = {label: f"{code.rstrip()}\n# by student {number}\n" for label, code in solutions.items()}
        yield f"student-{number:05}", as_bytes(fill_in(skeleton, codes))


def mixed_submissions(subject: Subject, count: int) -> Iterator[tuple[str, bytes]]:
    """A simulated class: right, half right, wrong, untouched, and every eighth damaged; each with other bytes."""
    skeleton, solutions = student_notebook(subject.course, subject.chapter), subject.solutions
    right = {label: [code] for label, code in solutions.items()}
    for other in load_alternatives(subject.chapter.alternatives):
        right[other.exercise].append(other.code)
    wrong = {label: [m.code for m in load_mistakes(subject.chapter.mistakes) if m.exercise == label] for label in right}
    for number in range(count):
        rng = random.Random(number)
        codes = {}
        for label in right:
            kind = rng.choices(("right", "wrong", "untouched"), (0.6, 0.3, 0.1))[0]
            if kind != "untouched":
                code = rng.choice(right[label] if kind == "right" else wrong[label])
                codes[label] = f"{code.rstrip()}\n# by student {number}\n"
        notebook = json.loads(as_bytes(fill_in(skeleton, codes)))
        notebook["metadata"]["student"] = number
        if rng.random() < 0.125:
            _damage(notebook, rng)
        data = json.dumps(notebook, indent=1).encode()
        yield f"student-{number:05}", data[: -rng.randrange(20, 90)] if rng.random() < 0.01 else data


def _damage(notebook: dict[str, Any], rng: random.Random) -> None:
    cells = notebook["cells"]
    kind = rng.randrange(5)
    if kind == 0:
        for cell in cells:
            cell["metadata"] = {}
            cell.pop("id", None)
    elif kind == 1:
        del cells[rng.randrange(2, len(cells))]
    elif kind == 2:
        rng.shuffle(cells)
    elif kind == 3:
        scratch = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": "1 / 0"}
        cells.insert(rng.randrange(len(cells)), scratch)
    else:
        cells += json.loads(json.dumps(cells[-4:]))


def lay_out(folder: Path, subject: Subject, submissions: Iterator[tuple[str, bytes]]) -> Path:
    """A class folder with these submissions."""
    for student, data in submissions:
        path = folder / "submitted" / student / subject.chapter.id / f"{subject.chapter.page.stem}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def configure_stock(folder: Path, subject: Subject) -> None:
    """Make a class folder one of plain nbgrader: its own settings, its own source notebook."""
    chapter, course = subject.chapter, subject.course
    source = folder / "source" / chapter.id / f"{chapter.page.stem}.ipynb"
    source.parent.mkdir(parents=True)
    source.write_bytes(as_bytes(source_notebook(course, chapter)))
    settings = STOCK_CONFIG.format(
        course=str(course.root),
        library=str(course.library_root),
        root=str(folder),
        seconds=int(chapter.budget.cell_seconds),
        code_stub=CODE_STUB,
        text_stub=TEXT_STUB,
    )
    (folder / "nbgrader_config.py").write_text(settings, encoding="utf-8")
