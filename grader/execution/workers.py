"""Many plans on many processes, with Dask distributed: bytes out, bytes back, no file system shared.

Whatever goes wrong with one plan stays with that plan: its outcome carries a note under the key `TROUBLE`,
and whoever records it must not read its silence as wrong answers.
"""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from grader.execution.plan import Outcome, Plan
from grader.execution.run import execute
from grader.execution.sandbox import find_bubblewrap

TROUBLE = "grader"
"""The key of the note in an outcome that is no word on the student: the grader could not execute the plan."""

QUIET = {
    "distributed.logging.distributed": "critical",
    "distributed.admin.log-format": "%(message)s",
    "distributed.scheduler.allowed-failures": 0,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.large-graph-warning-threshold": "1GB",
}
"""A plan is bounded by its own budget, so Dask's limits on a worker's memory are off. A plan whose worker
died is tried once more elsewhere."""


def execute_all(
    plans: Iterable[Plan], workers: int | None = None, sandbox: bool = True, scheduler: str | None = None
) -> Iterator[tuple[int, Outcome]]:
    """Execute plans as workers become free; yields (position of the plan, outcome) in the order they finish.

    `plans` is read as needed, two for each worker at a time: a generator of ten thousand keeps memory flat.

    Args:
        plans: what to execute.
        workers: processes on this machine; one for each core by default; 0 stays in this one.
        sandbox: False runs the code with all the rights of this user.
        scheduler: the address of a Dask cluster whose workers have the grader installed.

    Raises:
        EnvironmentProblem: when the sandbox cannot work on this machine, before anything is executed.
    """
    if sandbox and scheduler is None:
        find_bubblewrap()
    if workers == 0 and scheduler is None:
        return ((number, attempt(plan, sandbox)) for number, plan in enumerate(plans))
    return _on_cluster(plans, workers or os.cpu_count() or 1, sandbox, scheduler)


def attempt(plan: Plan, sandbox: bool) -> Outcome:
    """Execute one plan; trouble of the grader's own becomes a note: it ends one plan, not the class."""
    try:
        return execute(plan, sandbox)
    except Exception as error:
        return _trouble(f"{type(error).__name__}: {error}", sandbox)


def _trouble(words: str, sandbox: bool) -> Outcome:
    return Outcome(
        notes={TROUBLE: f"the submission could not be executed: {words}"},
        isolation="bubblewrap" if sandbox else "none",
    )


def _on_cluster(
    plans: Iterable[Plan], workers: int, sandbox: bool, scheduler: str | None
) -> Iterator[tuple[int, Outcome]]:
    from distributed import as_completed

    with _client(workers, scheduler) as client:
        waiting = enumerate(plans)
        sent: dict[Any, tuple[int, Plan]] = {}
        again: list[tuple[int, Plan]] = []
        running = as_completed(loop=client.loop)

        def submit() -> None:
            for number, plan in waiting:
                future = client.submit(attempt, plan, sandbox, pure=False)
                sent[future] = number, plan
                running.add(future)
                return

        for _ in range(2 * max(workers, len(client.nthreads()))):
            submit()
        for future in running:
            number, plan = sent.pop(future)
            submit()
            try:
                yield number, future.result()
            except Exception:
                # its worker died, of this plan or of one beside it
                again.append((number, plan))
        for number, plan in again:
            try:
                yield number, client.submit(attempt, plan, sandbox, pure=False).result()
            except Exception as error:
                yield number, _trouble(f"{type(error).__name__}: {error}", sandbox)


@contextlib.contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="grading-"))
        stack.enter_context(dask.config.set({**QUIET, "temporary-directory": folder}))
        if scheduler is None:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                local_directory=folder,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
            scheduler = stack.enter_context(cluster)
        yield stack.enter_context(Client(scheduler, set_as_default=False))
