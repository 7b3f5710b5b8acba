"""Many plans: each gets its own outcome, whatever happens to its neighbours or to a worker."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.course import Budget
from grader.execution import dispatch, workers
from grader.execution.cluster import local_client
from grader.execution.dispatch import Dispatch
from grader.execution.plan import Library, Plan, PlanCell
from grader.execution.workers import TROUBLE, execute_all

ISOLATED = shutil.which("bwrap") is not None


def plan(number: int, source: str | None = None) -> Plan:
    return Plan(str(number), (PlanCell("a", source or f"print({number})"),), (), Library(), Budget(cell_seconds=2))


def said(outcome: object) -> str:
    return outcome.outputs["a"][0]["text"].strip()


def test_in_this_process_one_after_another() -> None:
    outcomes = list(execute_all((plan(n) for n in range(3)), workers=0, sandbox=ISOLATED))
    assert [(number, said(outcome)) for number, outcome in outcomes] == [(0, "0"), (1, "1"), (2, "2")]


def test_trouble_of_the_graders_own_is_a_note_and_the_next_plan_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def execute(plan: Plan, sandbox: bool) -> object:
        if plan.name == "1":
            raise RuntimeError("out of luck")
        return real(plan, sandbox)

    real = workers.execute
    monkeypatch.setattr(workers, "execute", execute)
    outcomes = dict(execute_all((plan(n) for n in range(3)), workers=0, sandbox=ISOLATED))
    assert outcomes[1].notes == {TROUBLE: "the submission could not be executed: RuntimeError: out of luck"}
    assert [said(outcomes[n]) for n in (0, 2)] == ["0", "2"]


@pytest.mark.slow
def test_on_a_local_cluster_with_few_plans_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    taken = done = most = kept = 0
    seen: list[Any] = []

    def plans() -> Iterator[Plan]:
        nonlocal taken, most
        for number in range(12):
            taken += 1
            most = max(most, taken - done)
            fresh = plan(number, "import os; os._exit(1)" if number == 3 else None)
            seen.append(weakref.ref(fresh))
            yield fresh
            del fresh

    words = {}
    for number, outcome in execute_all(plans(), workers=2, sandbox=ISOLATED):
        done += 1
        words[number] = outcome.notes.get("a") or said(outcome)
        seen.append(weakref.ref(outcome))
        gc.collect()
        kept = max(kept, sum(each() is not None for each in seen))
    assert sorted(words) == list(range(12))
    assert all(words[n] == str(n) for n in range(12) if n != 3)
    assert "ended the process" in words[3]
    assert most <= 5, "plans drawn and not yet answered"
    assert kept <= 8, "plans and outcomes that are still in memory"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_plan_that_kills_its_worker_is_tried_again_and_then_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a sandbox a submission can kill the worker, as a failing machine would."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    plans = [plan(0), plan(1, "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"), plan(2)]
    outcomes = dict(execute_all(plans, workers=1, sandbox=False))
    assert "the worker that ran it ended" in outcomes[1].notes[TROUBLE]
    assert [said(outcomes[n]) for n in (0, 2)] == ["0", "2"]


@pytest.mark.slow
def test_a_worker_of_our_own_that_is_not_started_again_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask gives up on a worker that is lost while it starts, as one may be on a busy machine."""
    monkeypatch.setattr(dispatch, "REPLACE_SECONDS", 0.5)
    with local_client(1) as client:
        (nanny,) = client.cluster.workers.values()
        nanny.auto_restart = False
        (process,) = client.run(os.getpid).values()
        os.kill(process, signal.SIGKILL)
        outcomes = dict(Dispatch(client, ISOLATED, foreign=False).outcomes(plan(n) for n in range(3)))
    assert [said(outcomes[n]) for n in range(3)] == ["0", "1", "2"]


@pytest.mark.slow
def test_our_own_cluster_obeys_nobody_else_on_this_machine() -> None:
    """Another user could find its port; without its key, which never leaves memory, nobody is listened to."""
    from distributed import Client
    from distributed.security import Security

    with local_client(1) as client:
        address = client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        assert client.submit(sum, [1, 2]).result() == 3
        for stranger in (Security.temporary(), Security()):
            with pytest.raises((OSError, TypeError)):
                Client(address, security=stranger, timeout=2, set_as_default=False)
        with pytest.raises(OSError):
            Client(address.replace("tls://", "tcp://"), timeout=2, set_as_default=False)


def test_importing_the_workers_does_not_import_dask() -> None:
    heavy = {"dask", "distributed", "IPython", "numpy"}
    program = f"import sys, grader.execution.workers; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
