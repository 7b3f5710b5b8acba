"""A Dask cluster: one of this machine's own, or one that runs already, looked over before it gets work."""

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from grader.errors import EnvironmentProblem

CONNECT_SECONDS = 10
"""For a scheduler to answer."""
WORKERS_SECONDS = 120
"""For the first worker to appear."""

SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.system-monitor.log-length": 60,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.log-length": 100,
    "distributed.worker.preload": ["grader.execution.tasks"],
    "distributed.worker.http.routes": [],
    "distributed.scheduler.http.routes": [],
    "distributed.admin.large-graph-warning-threshold": "1GB",
}
"""A plan is bounded by its own budget, so Dask's limits on a worker's memory are off, and a worker that died is
reported at once: who was running there is for us to judge. What Dask keeps for its dashboard (call stacks of every
second of an hour, each change of state of each task) would make long runs grow, and nobody looks at it here."""


@contextlib.contextmanager
def local_client(workers: int) -> Iterator[Any]:
    """A client of a new cluster on this machine, which ends with it and obeys nobody else."""
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    # who can speak to a scheduler can run code as its owner, and other users of this machine could
    keys = Security.temporary()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="grading-"))
        stack.enter_context(dask.config.set({**SETTINGS, "temporary-directory": folder}))
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            # no dashboard; the page that the scheduler serves all the same takes any free port
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            local_directory=folder,
            memory_limit=0,
            security=keys,
            silence_logs=logging.CRITICAL,
        )
        stack.enter_context(cluster)
        yield stack.enter_context(Client(cluster, security=keys, set_as_default=False))


@contextlib.contextmanager
def remote_client(address: str, sandbox: bool, say: Callable[[str], None]) -> Iterator[Any]:
    """A client of the cluster whose scheduler has this address, once each of its workers was seen to fit.

    Args:
        address: such as tcp://host:8786, or tls://host:8786 with Dask's own settings for certificates.
        sandbox: whether plans will be sandboxed.
        say: told in a sentence when there is something to wait for.

    Raises:
        EnvironmentProblem: when the scheduler does not answer, when there are no workers, and when one of them
            does not fit.
    """
    from distributed import Client
    from distributed.security import Security

    from grader.execution import tasks

    if address.startswith("tls://") and Security().get_connection_args("client").get("ssl_context") is None:
        raise EnvironmentProblem(
            f"the scheduler {address} asks for a certificate, and there is none",
            "set ca-file, client.cert and client.key in Dask's distributed.comm.tls; see the page about clusters",
        )
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        try:
            client = stack.enter_context(Client(address, timeout=CONNECT_SECONDS, set_as_default=False))
        except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise EnvironmentProblem(
                f"the scheduler {address} does not answer: {reason}",
                "give the address that `dask scheduler` printed, such as tcp://host:8786 or tls://host:8786, and see "
                "that its port can be reached from here",
            ) from None
        if not client.nthreads():
            say(f"waiting for workers of {address}, {WORKERS_SECONDS} s at most")
            try:
                client.wait_for_workers(1, timeout=WORKERS_SECONDS)
            except (OSError, TimeoutError):
                raise EnvironmentProblem(
                    f"the scheduler {address} has no workers, and none came in {WORKERS_SECONDS} s",
                    f"start some: dask worker {address} --nthreads 1",
                ) from None
        refuse_unfit(client, tasks.traits(), sandbox)
        yield client


def refuse_unfit(client: Any, traits: dict[str, str], sandbox: bool) -> None:
    """See that every worker there is can run plans, and would come to the same verdicts.

    Args:
        client: of the cluster.
        traits: `tasks.traits` of this machine.
        sandbox: whether plans will be sandboxed.

    Raises:
        EnvironmentProblem: naming the workers that do not fit, and the way out.
    """
    from grader.execution import tasks

    answers = client.run(tasks.unfit, traits, sandbox, on_error="return")
    problems, remedies = [], []
    for worker, answer in sorted(answers.items()):
        if isinstance(answer, tasks.Declined):
            problems.append(f"the worker {worker} cannot be used: {answer.problem}")
            remedies.append(answer.remedy)
        elif isinstance(answer, ImportError):
            problems.append(f"the worker {worker} cannot be used: {answer}")
            remedies.append("install the same packages on all machines from one requirements.txt")
        elif isinstance(answer, OSError):
            # it has gone in this moment
            continue
        elif answer is not None:
            problems.append(f"the worker {worker} cannot be used: {type(answer).__name__}: {answer}")
            remedies.append("see what that worker wrote, and start it again")
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise EnvironmentProblem("; ".join(problems[:3]) + more, remedies[0])


def close_processes(client: Any) -> None:
    """End what waits for plans in the workers of a cluster that goes on running."""
    from grader.execution import tasks

    # without a scheduler Dask would try to find it again
    if client.status == "running":
        with contextlib.suppress(Exception):
            client.run(tasks.close, on_error="ignore")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Dask's own log and warnings: what concerns the teacher comes as an error of ours."""
    import warnings

    from distributed.utils import silence_logging_cmgr

    with warnings.catch_warnings(), silence_logging_cmgr(logging.CRITICAL):
        # differing versions are refused in our own words
        warnings.filterwarnings("ignore", module="distributed")
        yield
