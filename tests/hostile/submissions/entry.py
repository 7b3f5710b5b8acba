"""One hostile submission: what it tries, what is handed in, and what must happen."""

import copy
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

HONEST = ("sequence-logprob", "table-parameters", "bits-per-byte")
"""What every hostile submission answers rightly, unless its attack stands there: 6 of 20 points. The other
exercises are left as they were given out, so that there is much to forge."""


TORCH = ("softmax", "cross-entropy", "perplexity", "split")
"""Exercises that need torch."""


@dataclass(frozen=True)
class Lesson:
    """What a hostile submission is made of.

    Attributes:
        skeleton: the student notebook, as nbformat gives it.
        solved: right answers by label.
        points: by label.
        facts: what an attacker would love to know; put before a source that wants them.
    """

    skeleton: Any
    solved: dict[str, str]
    points: dict[str, float]
    facts: str = ""

    def notebook(self, **answers: str) -> Any:
        """The notebook with the honest answers and `answers` (underscores for dashes) in their cells."""
        given = {label: self.solved[label] for label in HONEST}
        given |= {label.replace("_", "-"): source for label, source in answers.items()}
        notebook = copy.deepcopy(self.skeleton)
        for label, source in given.items():
            self.cell(notebook, label)["source"] = source
        return notebook

    @staticmethod
    def cell(notebook: Any, label: str) -> Any:
        """The cell with a grade id."""
        return next(cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == label)


def as_bytes(notebook: Any) -> bytes:
    """A notebook as a file."""
    return json.dumps(notebook, indent=1).encode("utf-8", "surrogatepass")


def own_cell(source: str, **more: Any) -> dict[str, Any]:
    """A code cell of the student's own."""
    empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    return {**empty, "source": source, **more}


@dataclass(frozen=True)
class Entry:
    """One hostile submission.

    Attributes:
        name: unique; also the student's name, unless `student` is given.
        kind: for the table, such as "forge: shell".
        tries: one sentence.
        hand_in: writes the submission below the folder STUDENT/CHAPTER, given the lesson.
        most: labels whose points are deserved: the honest ones. Nothing else may earn a point.
        least: labels that must keep their points in spite of the attack.
        student: the folder's name.
        budget: what is changed of the chapter's budget.
        stock: why the attack is not run under stock nbgrader; empty where it is.
        recorded: whether a score can be written for it at all.
        full: whether it needs an exercise that needs torch.
    """

    name: str
    kind: str
    tries: str
    hand_in: Callable[[Path, Lesson], None]
    most: tuple[str, ...] = HONEST
    least: tuple[str, ...] = HONEST
    student: str = ""
    budget: dict[str, float] = field(default_factory=dict)
    stock: str = ""
    recorded: bool = True
    full: bool = False

    @property
    def alone(self) -> bool:
        """Whether it is run alone under stock nbgrader: it may take the class folder along."""
        return self.kind in ("harm: disk", "harm: processes", "learn: smuggle")

    @property
    def folder(self) -> str:
        """The name of the student's folder."""
        return self.student or self.name.replace("/", " ").replace("'", "")


TIGHT = {
    "cell_seconds": 2.0,
    "check_seconds": 3.0,
    "total_seconds": 20.0,
    "memory_mb": 600,
    "processes": 24,
    "files_mb": 32,
    "output_kb": 64,
}
"""For what goes on without end."""


def code_entries() -> list[Entry]:
    """The entries of the TOML files, which are cells or answers."""
    bank = tomllib.loads((HERE.parent / "bank.toml").read_text(encoding="utf-8"))
    cells = {name: source for entries in bank.values() for name, source in entries.items()}
    found = []
    for path in sorted(HERE.glob("*.toml")):
        for kind, entries in tomllib.loads(path.read_text(encoding="utf-8")).items():
            found += [_code_entry(name, kind, about, cells) for name, about in entries.items()]
    return found


def _code_entry(name: str, kind: str, about: dict[str, Any], cells: dict[str, str]) -> Entry:
    sources = about.get("answers")
    if sources is None:
        source = about["source"] if "source" in about else cells[about["bank"]]
        sources = {about.get("at", "softmax" if "def softmax" in source else "ngram"): source}
    replaced = {label for label in sources if label in HONEST}
    deserved = tuple(label for label in HONEST if label not in replaced)

    def hand_in(folder: Path, lesson: Lesson) -> None:
        facts = lesson.facts if about.get("informed") else ""
        answers = {label: facts + source for label, source in sources.items() if " " not in label and label != "first"}
        notebook = lesson.notebook(**{label.replace("-", "_"): source for label, source in answers.items()})
        for label, source in sources.items():
            if label == "first":
                notebook["cells"].insert(0, own_cell(facts + source))
            elif label.startswith("behind "):
                cell = lesson.cell(notebook, label.removeprefix("behind "))
                notebook["cells"].insert(notebook["cells"].index(cell) + 1, own_cell(facts + source))
        (folder / "lm-basics.ipynb").write_bytes(as_bytes(notebook))

    return Entry(
        name,
        kind,
        about["tries"],
        hand_in,
        most=deserved,
        least=tuple(about.get("keeps", deserved)),
        budget=(TIGHT if about.get("tight") else {}) | about.get("budget", {}),
        stock=about.get("stock", ""),
        full=about.get("full", any(label.removeprefix("behind ") in TORCH for label in sources)),
    )
