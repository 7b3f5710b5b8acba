"""What goes to a worker and what comes back: plain data, bytes only, no paths.

A `Plan` holds nothing that decides a score: no expected value, no judge, no seed, no secret. An `Outcome` holds nothing
that is believed: outputs are shown, answers are judged by the grader afterwards.
"""

import functools
import hashlib
from dataclasses import dataclass, field
from typing import Any

from grader.course import Budget
from grader.hidden import Raised


@dataclass(frozen=True)
class PlanCell:
    """One code cell to run, in order.

    Attributes:
        id: the cell's id in the prepared notebook.
        source: Python, IPython magics included.
        captures: names to remember as they are right after this cell (the `uses` of the exercise it checks), so that
            a later cell that rebinds a name does not change an earlier exercise.
        exercise: the label of the exercise that this cell answers or checks, if any.
    """

    id: str
    source: str
    captures: tuple[str, ...] = ()
    exercise: str | None = None


@dataclass(frozen=True)
class ProbeCall:
    """The probe of one exercise and the encoded inputs of its cases (`grader.wire.encode`)."""

    exercise: str
    uses: tuple[str, ...]
    source: str
    inputs: tuple[bytes, ...]


@dataclass(frozen=True)
class Library:
    """What lies ready in the sandbox before a submission comes: the same for every student of a chapter.

    Attributes:
        files: the library slice of the chapter, (relative path, bytes); lies on sys.path in the sandbox.
        imports: modules that the course's own cells import; a process may have imported them beforehand.
        beside: files that lie beside the notebook, (relative path, bytes): each submission gets copies of its own in
            its working folder, which then is on sys.path as well.
    """

    files: tuple[tuple[str, bytes], ...] = ()
    imports: tuple[str, ...] = ()
    beside: tuple[tuple[str, bytes], ...] = ()

    @functools.cached_property
    def packages(self) -> tuple[str, ...]:
        """Its top-level packages."""
        return tuple(sorted({path.split("/")[0] for path, _ in self.files}))

    @functools.cached_property
    def digest(self) -> str:
        """One sha256 over all of it, in hex: equal libraries can share what was made ready for one."""
        total = hashlib.sha256(repr((self.imports, len(self.files))).encode())
        for path, data in (*self.files, *self.beside):
            total.update(hashlib.sha256(path.encode()).digest() + hashlib.sha256(data).digest())
        return total.hexdigest()


@dataclass(frozen=True)
class Plan:
    """One submission, ready to run anywhere.

    Attributes:
        name: student and chapter, for progress and logs.
        cells: all code cells of the prepared notebook.
        probes: the exercises to probe, in order. They enter the sandbox only after all outputs have left it.
        library: what lies ready for every submission of the chapter.
        budget: limits.
        seed: for the random generators of the student's process; unrelated to the seeds of the cases.
    """

    name: str
    cells: tuple[PlanCell, ...]
    probes: tuple[ProbeCall, ...]
    library: Library
    budget: Budget
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came back of one submission.

    Attributes:
        outputs: by cell id, nbformat 4 outputs (dicts), validated and within the budget, not yet sanitised.
        answers: by exercise, one item a case: a decoded plain value or `Raised`. An exercise may be missing or short.
        notes: by cell id or exercise label, one sentence about what went wrong there (time, memory, a crash).
        seconds: wall time.
        cpu_seconds: of the whole process tree, where known.
        peak_mb: peak memory, where known.
        spent: wall seconds by exercise label: its answer and checks cells and its probe.
        isolation: "bubblewrap" or "none".
        start: "warm" where the process was forked from one that had imported the library, else "cold".
        remark: for the teacher, why the engine did not do as it usually does; empty when it did.
    """

    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    answers: dict[str, list[Any | Raised]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float | None = None
    peak_mb: float | None = None
    spent: dict[str, float] = field(default_factory=dict)
    isolation: str = "bubblewrap"
    start: str = "cold"
    remark: str = ""
