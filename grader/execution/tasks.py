"""What runs on a worker: whether it fits, the libraries it has been given, and one plan after the other.

A worker is a process of one thread, on this machine or another. It knows what a task brings along and nothing
else: no gradebook, no course, no expected value.
"""

import functools
import hashlib
import importlib.metadata
import platform
import signal
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grader
from grader.errors import EnvironmentProblem
from grader.execution import run, workers
from grader.execution.plan import Library, Outcome, Plan
from grader.execution.sandbox import find_bubblewrap

KEPT_LIBRARIES = 3
"""Of the chapters graded last, in each worker."""

_libraries: OrderedDict[str, Library] = OrderedDict()
_busy = threading.Lock()
_asked_to_close = threading.Event()


@dataclass(frozen=True)
class Declined:
    """A plan that was not begun, through no fault of its own.

    Attributes:
        worker: the address of the worker.
        needs_library: the worker lacks the library that the task refers to.
        problem: why this worker cannot run plans, if that is so.
        remedy: what to do about it.
    """

    worker: str
    needs_library: bool = False
    problem: str = ""
    remedy: str = ""


def dask_setup(worker: Any) -> None:
    """Called by Dask in a worker of our own cluster: Ctrl-C is for the command, which then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def dask_teardown(worker: Any) -> None:
    """Called by Dask when such a worker ends."""
    close()


def traits(modules: Iterable[str] = ()) -> dict[str, str]:
    """What must be the same on every machine, or a verdict could depend on where it was reached.

    Args:
        modules: what the course's cells import; the versions of their distributions are listed too.
    """
    found = {name: _trait(name) for name in ("Python", "grader", "distributed", "ipython", "numpy")}
    if tops := {module.split(".")[0] for module in modules}:
        homes = importlib.metadata.packages_distributions()
        found |= {name: _trait(name) for top in sorted(tops) for name in homes.get(top, ())}
    return found


@functools.cache
def _trait(name: str) -> str:
    if name == "Python":
        return ".".join(platform.python_version_tuple()[:2])
    if name == "grader":
        return f"{grader.__version__}/{_sources_digest()[:8]}"
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _sources_digest() -> str:
    """Of the part of the grader that runs on workers: two editions of it may bear one version number."""
    here = Path(__file__).parent
    total = hashlib.sha256()
    for path in sorted([*here.glob("*.py"), *(here.parent / name for name in ("wire.py", "hidden.py", "course.py"))]):
        total.update(hashlib.sha256(path.name.encode()).digest() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def unfit(expected: dict[str, str], sandbox: bool, dask_worker: Any) -> Declined | None:
    """Why this worker must not run plans; None when it may.

    Args:
        expected: the `traits` of the machine that grades.
        sandbox: whether plans will be sandboxed.
        dask_worker: the worker that this runs on; Dask fills it in.
    """
    address = str(dask_worker.address)
    other = [f"{name} {_trait(name)} instead of {words}" for name, words in expected.items() if _trait(name) != words]
    if other:
        return Declined(
            address,
            problem=f"it has {', '.join(other)}",
            remedy="install the same packages on all machines from one requirements.txt, and start the worker again",
        )
    if dask_worker.state.nthreads != 1:
        return Declined(
            address,
            problem=f"it runs {dask_worker.state.nthreads} tasks in one process",
            remedy="start it with --nthreads 1, and with --nworkers for more processes",
        )
    try:
        if sandbox:
            find_bubblewrap()
    except EnvironmentProblem as error:
        return Declined(address, problem=error.problem, remedy=error.remedy)
    return None


def keep(library: Library) -> None:
    """Keep a library for the plans that refer to it."""
    _libraries[library.digest] = library
    _libraries.move_to_end(library.digest)
    while len(_libraries) > KEPT_LIBRARIES:
        _libraries.popitem(last=False)


def run_plan(plan: Plan, library: Library | str, expected: dict[str, str], sandbox: bool) -> Outcome | Declined:
    """Execute one plan.

    Args:
        plan: without its library.
        library: that library, or its digest where this worker should have it.
        expected: the `traits` of the machine that grades.
        sandbox: as in `execute`.
    """
    from distributed import get_worker

    worker = get_worker()
    declined = unfit(expected, sandbox, worker)
    if declined is not None:
        return declined
    if isinstance(library, Library):
        keep(library)
    digest = library if isinstance(library, str) else library.digest
    if digest not in _libraries:
        return Declined(worker.address, needs_library=True)
    _libraries.move_to_end(digest)
    with _busy:
        _asked_to_close.clear()
        outcome = workers.attempt(replace(plan, library=_libraries[digest]), sandbox)
        if _asked_to_close.is_set():
            run.close()
    return outcome


def close() -> None:
    """End the processes that wait for plans in this worker, now or when the plan under way is done."""
    _asked_to_close.set()
    if _busy.acquire(blocking=False):
        try:
            run.close()
        finally:
            _busy.release()
