"""Run a chapter's notebook, once: its outputs are kept until code, packages or its part of the library change."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.course import Chapter, Course
from grader.errors import AuthoringError
from grader.files import write_whole

THREADS = "1"
"""OpenMP threads of the kernel: two that spin on a busy two-core machine are slower than one."""

MARKER = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION[ \t]*\n?", re.MULTILINE)
"""Comments that only one of the two editions has; they share their outputs."""

Announce = Callable[[int, int], None]
"""Called with (cells done, cells in all)."""


@dataclass(frozen=True)
class Run:
    """The outputs of every code cell, in order, and the processor time they took, in seconds."""

    outputs: list[list[dict[str, Any]]]
    seconds: float
    cached: bool


def execute(course: Course, chapter: Chapter, notebook: Any, announce: Announce = lambda done, total: None) -> Run:
    """Execute `notebook` (solutions included, hidden tests not), or read what an earlier run left.

    Raises:
        AuthoringError: with the page, the line of the cell and the error, when any cell raises or runs too
        long.
    """
    folder = course.build / "book" / "executed"
    kept = folder / f"{chapter.id}-{cache_key(course, chapter, notebook)}.json"
    if kept.is_file():
        row = json.loads(kept.read_text(encoding="utf-8"))
        return Run(row["outputs"], row["seconds"], cached=True)
    start = _cpu_seconds()
    outputs = _run(course, chapter, notebook, announce)
    run = Run(outputs, _cpu_seconds() - start, cached=False)
    for old in folder.glob(f"{chapter.id}-*.json"):
        old.unlink()
    write_whole(kept, json.dumps({"seconds": run.seconds, "outputs": outputs}))
    return run


def _cpu_seconds() -> float:
    """Processor time of the kernels that have ended: with one thread that is the time on an idle machine."""
    times = os.times()
    return times.children_user + times.children_system


def cache_key(course: Course, chapter: Chapter, notebook: Any) -> str:
    """What decides what the cells print: their code, the kernel, the packages, the library they may import."""
    digest = hashlib.sha256()
    digest.update(notebook.metadata.get("kernelspec", {}).get("name", "python3").encode())
    for cell in code_cells(notebook):
        digest.update(b"\0cell\0" + MARKER.sub("", cell.source).strip("\n").encode())
    pins = course.root / "constraints.txt"
    digest.update(pins.read_bytes() if pins.is_file() else b"")
    for relative in course.library_files(chapter):
        digest.update(b"\0file\0" + relative.as_posix().encode() + b"\0")
        digest.update((course.library_root / relative).read_bytes())
    return digest.hexdigest()[:20]


def code_cells(notebook: Any) -> list[Any]:
    """The code cells of a notebook, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _run(course: Course, chapter: Chapter, notebook: Any, announce: Announce) -> list[list[dict[str, Any]]]:
    import copy

    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = copy.deepcopy(notebook)
    codes = code_cells(notebook)
    done = 0
    current = codes[0] if codes else None

    def started(cell: Any, cell_index: int) -> None:
        nonlocal current
        current = cell

    def ended(cell: Any, cell_index: int, **_: Any) -> None:
        nonlocal done
        done += 1
        announce(done, len(codes))

    announce(0, len(codes))
    log = course.build / "book" / f"kernel-{chapter.id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="chapter-") as folder, log.open("wb") as words:
        if chapter.figures.is_dir():
            shutil.copytree(chapter.figures, Path(folder) / "figures")
        client = NotebookClient(
            notebook,
            timeout=int(chapter.budget.total_seconds),
            kernel_name=notebook.metadata.get("kernelspec", {}).get("name", "python3"),
            resources={"metadata": {"path": folder}},
            # a cell tagged raises-exception for students must not raise here
            force_raise_errors=True,
            on_cell_start=started,
            on_cell_executed=ended,
        )
        try:
            client.execute(env=_environment(course), stderr=words)
        except CellExecutionError as error:
            raise _failure(chapter, current, f"{error.ename}: {error.evalue}") from error
        except CellTimeoutError as error:
            limit = f"ran longer than total_seconds = {chapter.budget.total_seconds:g}"
            raise _failure(chapter, current, limit) from error
        except DeadKernelError as error:
            raise _failure(chapter, current, f"ended the kernel; see {log}") from error
    return [[dict(output) for output in cell.outputs] for cell in codes]


def _environment(course: Course) -> dict[str, str]:
    """The kernel's environment: this course's library first, one thread, plots into the page."""
    path = os.pathsep.join(filter(None, [str(course.library_root), os.environ.get("PYTHONPATH", "")]))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": THREADS,
        "OMP_WAIT_POLICY": "PASSIVE",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "HF_HUB_OFFLINE": "1",
    }


def _failure(chapter: Chapter, cell: Any, words: str) -> AuthoringError:
    line = line_of(chapter.page, cell.source)
    name = cell.metadata.get("nbgrader", {}).get("grade_id") or cell.id
    return AuthoringError(
        chapter.page,
        line,
        f"the cell {name!r} fails when the book is built: {words}",
        "every cell must run with the solutions in place; run the page in JupyterLab to see the trace",
    )


def line_of(page: Path, source: str) -> int | None:
    """Where a cell, or the line it begins with, stands in the page.

    None where it is not there or, a single line, there more than once.
    """
    text = page.read_text(encoding="utf-8")
    body = source.strip("\n")
    if body and body in text:
        return text.count("\n", 0, text.index(body)) + 1
    lines = [line for line in body.split("\n") if line.strip()]
    if lines and text.count(f"\n{lines[0]}\n") == 1:
        return text.count("\n", 0, text.index(f"\n{lines[0]}\n")) + 2
    return None
