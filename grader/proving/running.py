"""Start the worker that runs a chapter's own code, and collect what it says."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from grader.course import Chapter, Course
from grader.errors import AuthoringError, CourseError
from grader.proving.candidates import Candidate
from grader.proving.material import CodeCell
from grader.proving.trial import Hearing, Trial


@dataclass(frozen=True)
class Tried:
    """A candidate and what became of it."""

    candidate: Candidate
    trial: Trial


def run_chapter(
    course: Course,
    chapter: Chapter,
    cells: Sequence[CodeCell],
    mutants: bool,
    seeds: Sequence[int],
    parallel: int,
    progress: Callable[[int, int], None],
    asked: Sequence[tuple[Candidate, Sequence[int]]] = (),
) -> tuple[dict[str, dict[str, float]], list[Tried]]:
    """Start a worker and collect what it says: the criteria of each hidden check, and every trial.

    The trials are in the order of the candidates, whatever the order in which they ended. With `asked`, these
    candidates alone are tried, each with seeds of its own, and `mutants` and `seeds` are nothing to them.
    """
    request = {
        "root": str(course.root),
        "chapter": chapter.id,
        "cells": [asdict(cell) for cell in cells],
        "seeds": list(seeds),
        "asked": [[asdict(candidate), list(own)] for candidate, own in asked],
        "mutants": mutants,
        "parallel": parallel,
    }
    path = os.pathsep.join(filter(None, [str(course.library_root), os.environ.get("PYTHONPATH", "")]))
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    environment = {**os.environ, **threads, "MPLBACKEND": "agg", "PYTHONHASHSEED": "0", "PYTHONPATH": path}
    criteria: dict[str, dict[str, float]] = {}
    tried: dict[int, Tried] = {}
    count, done = 0, False
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as complaints:
        worker = subprocess.Popen(
            [sys.executable, "-m", "grader.proving.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            cwd=folder,
            env=environment,
            text=True,
        )
        with worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            json.dump(request, worker.stdin)
            worker.stdin.close()
            for text in worker.stdout:
                line = json.loads(text)
                if "fatal" in line:
                    raise _fatal(*line["fatal"])
                if "count" in line:
                    count, criteria = line["count"], line["checks"]
                elif "candidate" in line:
                    tried[line["key"]] = Tried(Candidate(**line["candidate"]), _trial(line["trial"]))
                    progress(len(tried), count)
                done = done or "done" in line
        complaints.seek(0)
        last = complaints.read().strip().splitlines()[-1:]
    if not done:
        raise CourseError(
            f"the chapter's code ended the process that proves it: {''.join(last) or 'without a word'}",
            f"run {chapter.hidden.name} and the page's cells with python to see where",
        )
    return criteria, [tried[key] for key in sorted(tried)]


def _fatal(problem: str, remedy: str, place: list[Any]) -> CourseError:
    return AuthoringError(place[0], place[1], problem, remedy) if place else CourseError(problem, remedy)


def _trial(line: dict[str, Any]) -> Trial:
    return Trial(**{**line, "hearings": [Hearing(**hearing) for hearing in line.get("hearings", [])]})
