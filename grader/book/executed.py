"""Run the chapters' notebooks, each once: outputs are kept until code, packages or its part of the library change."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from grader.book.kernels import Kernels, Stopped, cpu_seconds
from grader.course import Chapter, Course
from grader.errors import AuthoringError, CourseError
from grader.files import write_whole

THREADS = "1"
"""OpenMP threads of the kernel: two that spin on a busy two-core machine are slower than one."""

OF_NO_CELL = frozenset({b"brotli", b"pypdf"})
"""Packages of the book's own whose version no cell can notice."""

MARKER = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION[ \t]*\n?", re.MULTILINE)
"""Comments that only one of the two editions has; they share their outputs."""

Announce = Callable[[int, int], None]
"""Called with (cells done, cells in all)."""


@dataclass(frozen=True)
class Run:
    """The outputs of every code cell, in order, and the processor time of their kernel, in seconds."""

    outputs: list[list[dict[str, Any]]]
    seconds: float
    cached: bool


def execute(
    course: Course,
    chapter: Chapter,
    notebook: Any,
    announce: Announce = lambda done, total: None,
    kernels: Kernels | None = None,
) -> Run:
    """Execute `notebook` (solutions included, hidden tests not), or read what an earlier run left.

    Raises:
        Stopped: when `kernels` were ended meanwhile.
        AuthoringError: with the page, the line of the cell and the error, when any cell raises or runs too
        long.
    """
    folder = course.build / "book" / "executed"
    kept = folder / f"{chapter.id}-{cache_key(course, chapter, notebook)}.json"
    if kept.is_file():
        row = json.loads(kept.read_text(encoding="utf-8"))
        return Run(row["outputs"], row["seconds"], cached=True)
    outputs, seconds = _run(course, chapter, notebook, announce, kernels or Kernels())
    run = Run(outputs, seconds, cached=False)
    for old in folder.glob(f"{chapter.id}-*.json"):
        old.unlink()
    write_whole(kept, json.dumps({"seconds": run.seconds, "outputs": outputs}))
    return run


def execute_all(
    course: Course,
    notebooks: Sequence[tuple[Chapter, Any]],
    jobs: int = 1,
    announce: Callable[[Chapter, int, int], None] = lambda chapter, done, total: None,
    ended: Callable[[Chapter, Run], None] = lambda chapter, run: None,
) -> list[Run]:
    """Execute the notebooks of several chapters, `jobs` at a time, each in a kernel and a thread of its own.

    A chapter that fails stops no other: their outputs are kept for the next build. `announce` is called from the
    chapter's thread with (chapter, cells done, cells in all), `ended` from the caller's. When the caller is
    interrupted, or `ended` raises, every kernel is killed first.

    Raises:
        AuthoringError: the one failure there is.
        CourseError: all failures, in the order of the chapters.
    """
    kernels = Kernels()
    runs: dict[Future[Run], Chapter] = {}
    failures: dict[Chapter, AuthoringError] = {}
    with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="chapter") as pool:
        try:
            for chapter, notebook in notebooks:
                job = pool.submit(execute, course, chapter, notebook, partial(announce, chapter), kernels)
                runs[job] = chapter
            for job in as_completed(runs):
                try:
                    ended(runs[job], job.result())
                except AuthoringError as error:
                    failures[runs[job]] = error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            kernels.stop()
            raise
    told = [failures[chapter] for chapter, _ in notebooks if chapter in failures]
    if len(told) > 1:
        words = "\n".join(str(error) for error in told)
        raise CourseError(f"{len(told)} chapters do not run:\n{words}", "correct these cells; what ran is kept")
    if told:
        raise told[0]
    return [job.result() for job in runs]


def cache_key(course: Course, chapter: Chapter, notebook: Any) -> str:
    """What decides what the cells print: their code, the kernel, the packages, the library they may import."""
    digest = hashlib.sha256()
    digest.update(notebook.metadata.get("kernelspec", {}).get("name", "python3").encode())
    for cell in code_cells(notebook):
        digest.update(b"\0cell\0" + MARKER.sub("", cell.source).strip("\n").encode())
    pins = course.root / "constraints.txt"
    lines = pins.read_bytes().splitlines(keepends=True) if pins.is_file() else []
    digest.update(b"".join(line for line in lines if line.partition(b"==")[0] not in OF_NO_CELL))
    for relative in course.library_files(chapter):
        digest.update(b"\0file\0" + relative.as_posix().encode() + b"\0")
        digest.update((course.library_root / relative).read_bytes())
    return digest.hexdigest()[:20]


def code_cells(notebook: Any) -> list[Any]:
    """The code cells of a notebook, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _run(
    course: Course, chapter: Chapter, notebook: Any, announce: Announce, kernels: Kernels
) -> tuple[list[list[dict[str, Any]]], float]:
    import copy

    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = copy.deepcopy(notebook)
    codes = code_cells(notebook)
    done, seconds = 0, 0.0
    current = codes[0] if codes else None

    def started(cell: Any, cell_index: int) -> None:
        nonlocal current
        kernels.go_on()
        current = cell

    def ended(cell: Any, cell_index: int, **_: Any) -> None:
        nonlocal done, seconds
        done += 1
        # after the last cell the kernel is gone before anybody could ask
        seconds = cpu_seconds(client)
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
            with kernels.running(client):
                client.execute(env=_environment(course), stderr=words)
        except (DeadKernelError, RuntimeError) as error:
            if kernels.stopped:
                raise Stopped from error
            if not isinstance(error, DeadKernelError):
                raise
            raise _failure(chapter, current, f"ended the kernel; see {log}") from error
        except CellExecutionError as error:
            raise _failure(chapter, current, f"{error.ename}: {error.evalue}") from error
        except CellTimeoutError as error:
            limit = f"ran longer than total_seconds = {chapter.budget.total_seconds:g}"
            raise _failure(chapter, current, limit) from error
    return [[dict(output) for output in cell.outputs] for cell in codes], seconds


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
