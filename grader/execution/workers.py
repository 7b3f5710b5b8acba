"""Many plans on many processes, with Dask distributed: bytes out, bytes back, no file system shared.

Whatever goes wrong with one plan stays with that plan: its outcome carries a note under the key `TROUBLE`,
and whoever records it must not read its silence as wrong answers.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator

from grader.execution.plan import Outcome, Plan
from grader.execution.run import execute
from grader.execution.sandbox import find_bubblewrap

TROUBLE = "grader"
"""The key of the note in an outcome that is no word on the student: the grader could not execute the plan."""

Executor = Callable[[Iterable[Plan]], Iterator[tuple[int, Outcome]]]
"""Runs plans as it draws them and yields (position of the plan, outcome) as they finish, in any order."""


@contextlib.contextmanager
def open_workers(
    workers: int | None = None,
    sandbox: bool = True,
    scheduler: str | None = None,
    say: Callable[[str], None] = lambda words: None,
) -> Iterator[Executor]:
    """Where plans run: this process, processes of this machine, or a cluster; seen to work before the first plan.

    Processes of this machine start with the first plan, so that a run without one costs nothing.

    Args:
        workers: processes on this machine; one for each core by default; 0 stays in this one.
        sandbox: False runs the code with all the rights of this user.
        scheduler: the address of a Dask cluster whose workers have the grader installed.
        say: told in a sentence when there is something to wait for.

    Raises:
        EnvironmentProblem: when the sandbox cannot work on this machine, or the cluster cannot be used.
    """
    from grader.execution import cluster

    if scheduler is not None:
        with cluster.remote_client(scheduler, sandbox, say) as client:
            try:
                yield _over(client, sandbox, foreign=True)
            finally:
                cluster.close_processes(client)
        return
    if sandbox:
        find_bubblewrap()
    if workers == 0:
        yield lambda plans: ((number, attempt(plan, sandbox)) for number, plan in enumerate(plans))
        return
    with contextlib.ExitStack() as stack:

        def run(plans: Iterable[Plan]) -> Iterator[tuple[int, Outcome]]:
            client = stack.enter_context(cluster.local_client(workers or os.cpu_count() or 1))
            yield from _over(client, sandbox, foreign=False)(plans)

        yield run


def _over(client: object, sandbox: bool, *, foreign: bool) -> Executor:
    from grader.execution.dispatch import Dispatch

    return lambda plans: Dispatch(client, sandbox, foreign).outcomes(plans)


def execute_all(
    plans: Iterable[Plan], workers: int | None = None, sandbox: bool = True, scheduler: str | None = None
) -> Iterator[tuple[int, Outcome]]:
    """Execute plans as workers become free; yields (position of the plan, outcome) in the order they finish.

    `plans` is read as needed, two for each worker at a time: a generator of ten thousand keeps memory flat.
    The arguments and errors are those of `open_workers`.
    """
    stack = contextlib.ExitStack()
    run = stack.enter_context(open_workers(workers, sandbox, scheduler))

    def outcomes() -> Iterator[tuple[int, Outcome]]:
        with stack:
            yield from run(plans)

    return outcomes()


def attempt(plan: Plan, sandbox: bool) -> Outcome:
    """Execute one plan; trouble of the grader's own becomes a note: it ends one plan, not the class."""
    try:
        return execute(plan, sandbox)
    except Exception as error:
        return trouble(f"{type(error).__name__}: {error}", sandbox)


def trouble(words: str, sandbox: bool) -> Outcome:
    """The outcome of a plan that could not be executed."""
    return Outcome(
        notes={TROUBLE: f"the submission could not be executed: {words}"},
        isolation="bubblewrap" if sandbox else "none",
    )
