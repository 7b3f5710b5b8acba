"""The flow of plans to a cluster and of outcomes back: few in flight, tried again where a worker was lost."""

import contextlib
import queue
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from grader.errors import EnvironmentProblem
from grader.execution import tasks
from grader.execution.cluster import refuse_unfit
from grader.execution.plan import Library, Outcome, Plan
from grader.execution.workers import TROUBLE, trouble

IN_FLIGHT = 2
"""Plans for each worker: one that runs, one that is there when it ends."""
DEATHS_AMONG_OTHERS = 3
"""A plan that was on a worker as often as this when it died is put aside. It need not be its doing: a job that a
batch system ends takes along whatever runs there."""
DEATHS_ALONE = 2
"""A plan put aside runs at the end, with nothing beside it. Now it is its own doing."""
GONE_SECONDS = 300
"""For workers to come back when there are none left."""
REPLACE_SECONDS = 30
"""For a worker of our own that died to be started again, before another one is."""
RECONNECT_SECONDS = 30
"""For a scheduler to come back."""
BEAT = 1.0
"""Seconds between two looks at the cluster while nothing comes back."""


@dataclass
class Sent:
    """A plan under way."""

    number: int
    plan: Plan
    tries: int = 0
    deaths: int = 0
    alone: bool = False
    with_library: bool = False
    """Whether the library travels with the plan: after a loss nobody knows who still has it."""


class Dispatch:
    """One stream of plans over one client."""

    def __init__(self, client: Any, sandbox: bool, foreign: bool) -> None:
        self.client = client
        self.sandbox = sandbox
        self.foreign = foreign
        """Whether workers could have other packages than this process."""
        self.name = f"grading-{uuid.uuid4().hex[:12]}"
        self.sent: dict[tuple[str, int, int], tuple[Sent, Any]] = {}
        self.finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.again: deque[Sent] = deque()
        self.aside: deque[Sent] = deque()
        self.workers: set[str] = set()
        self.unfit: dict[str, tasks.Declined] = {}
        self.traits: dict[str, dict[str, str]] = {}
        """By digest of each library that workers have been given: what they must be like."""
        self.next_look = 0.0
        self.last_seen = self.last_whole = time.monotonic()
        self.wanted = 0 if foreign else len(client.cluster.worker_spec)

    def outcomes(self, plans: Iterable[Plan]) -> Iterator[tuple[int, Outcome]]:
        """Execute all plans; yields (position, outcome) in the order they finish.

        Raises:
            EnvironmentProblem: when the scheduler is lost, or no worker is left for a long time.
        """
        waiting = (Sent(number, plan) for number, plan in enumerate(plans))
        try:
            while True:
                self._look()
                while len(self.sent) < IN_FLIGHT * len(self.workers):
                    fresh = self._draw(waiting)
                    if fresh is None:
                        break
                    self._submit(fresh)
                if not self.sent and self.workers:
                    return
                future = self._next()
                if future is None:
                    continue
                sent, _ = self.sent.pop(future.key)
                outcome = self._outcome(future, sent)
                if outcome is not None:
                    yield sent.number, outcome
        finally:
            for _, future in self.sent.values():
                with contextlib.suppress(Exception):
                    future.cancel()
            self.sent.clear()

    def _look(self) -> None:
        """See which workers there are, at most once a beat."""
        now = time.monotonic()
        if now < self.next_look:
            return
        if not self._is_connected():
            raise _scheduler_lost()
        try:
            self.workers = set(self.client.nthreads()) - self.unfit.keys()
        except (OSError, TimeoutError) as error:
            raise _scheduler_lost() from error
        self.next_look = time.monotonic() + BEAT
        if len(self.workers) >= self.wanted:
            self.last_whole = now
        elif now > self.last_whole + REPLACE_SECONDS:
            # of our own; Dask gives up on a worker that dies while it starts
            missing = self.wanted - len(self.workers)
            self.client.cluster.scale(len(self.client.cluster.worker_spec) + missing)
            self.last_whole = now
        if self.workers:
            self.last_seen = now
        elif now > self.last_seen + GONE_SECONDS:
            reasons = [f"; {each.worker} cannot be used: {each.problem}" for each in self.unfit.values()]
            raise EnvironmentProblem(
                f"there has been no worker for {GONE_SECONDS} s{''.join(reasons[:3])}",
                "start workers, and run the command again: what is recorded stays, the rest is graded then",
            )

    def _draw(self, waiting: Iterator[Sent]) -> Sent | None:
        """What to send next: those that were lost first, those put aside last and one at a time."""
        if self.again:
            return self.again.popleft()
        fresh = next(waiting, None)
        if fresh is None and self.aside and not self.sent:
            fresh = self.aside.popleft()
            fresh.alone, fresh.deaths = True, 0
        return fresh

    def _submit(self, sent: Sent) -> None:
        library = sent.plan.library
        if library.digest not in self.traits:
            self._introduce(library)
        sent.tries += 1
        key = (self.name, sent.number, sent.tries)
        future = self.client.submit(
            tasks.run_plan,
            replace(sent.plan, library=Library()),
            library if sent.with_library else library.digest,
            self.traits[library.digest],
            self.sandbox,
            key=key,
            pure=False,
            workers=sorted(self.workers) if self.unfit else None,
        )
        self.sent[key] = sent, future
        future.add_done_callback(self.finished.put)

    def _introduce(self, library: Library) -> None:
        """Give each worker the library once, after a look whether it has the packages that go with it."""
        traits = tasks.traits(library.imports) if self.foreign else {}
        if self.foreign:
            refuse_unfit(self.client, traits, self.sandbox)
        self.client.run(tasks.keep, library, on_error="ignore")
        self.traits[library.digest] = traits

    def _next(self) -> Any:
        """The next future that is done; None after a beat without one."""
        try:
            return self.finished.get(timeout=BEAT)
        except queue.Empty:
            return None

    def _outcome(self, future: Any, sent: Sent) -> Outcome | None:
        """What came of a plan; None where it will be tried again."""
        result = self._result(future, sent)
        if isinstance(result, Outcome):
            if TROUBLE not in result.notes or (sent.alone and sent.deaths >= DEATHS_ALONE):
                return result
            if not sent.alone and sent.deaths >= DEATHS_AMONG_OTHERS:
                self.aside.append(sent)
                return None
        elif result is not None and result.problem:
            self.unfit[result.worker] = result
            self.workers.discard(result.worker)
        sent.with_library = True
        self.again.append(sent)
        return None

    def _result(self, future: Any, sent: Sent) -> Outcome | tasks.Declined | None:
        """What a future holds; trouble of any kind is counted."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            result: Outcome | tasks.Declined = future.result()
        except FutureCancelledError as error:
            if not self._is_connected():
                raise _scheduler_lost() from error
            return None
        except KilledWorker as error:
            sent.deaths += 1 + error.allowed_failures
            return trouble(f"the worker that ran it ended, {sent.deaths} times", self.sandbox)
        except Exception as error:
            sent.deaths += 1
            return trouble(f"{type(error).__name__}: {error}", self.sandbox)
        finally:
            future.release()
        if isinstance(result, Outcome) and TROUBLE in result.notes:
            sent.deaths += 1
        return result

    def _is_connected(self) -> bool:
        """Whether there is a scheduler; Dask by itself looks for one that was lost."""
        deadline = time.monotonic() + RECONNECT_SECONDS
        while self.client.status == "connecting" and time.monotonic() < deadline:
            time.sleep(0.1)
        return bool(self.client.status == "running")


def _scheduler_lost() -> EnvironmentProblem:
    return EnvironmentProblem(
        "the connection to the scheduler was lost",
        "see that it runs, and run the command again: what is recorded stays, the rest is graded then",
    )
