"""One running process of a submission: what goes in and out, its limits, and its end.

Everything that waits here waits with a deadline and looks after the process tree meanwhile, so that no
submission can make the grader wait longer, hold more memory or leave anything running.
"""

import contextlib
import json
import os
import select
import time
from types import TracebackType
from typing import Any, Self

from grader.course import Budget
from grader.errors import EnvironmentProblem
from grader.execution import watch
from grader.execution.cgroups import Group
from grader.execution.process import Ending, Process

START_SECONDS = 120
"""For Python and its imports on a busy machine; nothing of the student's has run by then."""
BEAT, FAST_BEAT = 0.05, 0.01
"""Seconds between two looks at the process tree; the shorter for one that may soon use more memory than allowed,
where no control group sees to that."""
AWAY = 1.0
"""Seconds without a look after which it was this process that did not run."""
MAX_FILES = 50_000
OWN_PROCESSES = 8
"""Beside a submission's: bubblewrap's and the first of its process namespace."""


class StoppedError(Exception):
    """The process is gone or was stopped; the argument is the reason, a clause that begins with a verb.

    Attributes:
        ending: how it ended, where it did so by itself or from outside.
    """

    def __init__(self, reason: str, ending: Ending | None = None) -> None:
        super().__init__(reason)
        self.ending = ending


class NotStartedError(EnvironmentProblem):
    """The student's code could not begin.

    Attributes:
        killed: the process may have been ended from outside, so that another one may start.
    """

    killed = False


class Box:
    """A context manager around one process that runs `inside.py`."""

    def __init__(self, budget: Budget, process: Process, group: Group) -> None:
        self.budget = budget
        self.process = process
        self.group = group
        self.peak_mb = 0.0
        self.cpu_seconds = 0.0
        self._buffer = bytearray()
        self._next_look = 0.0
        self._awake = time.monotonic()
        self._looks = 0
        self._beat = BEAT
        self._started = False
        self._closed = False
        self._unmapped_mb = 0.0
        os.set_blocking(process.writing, False)
        os.set_blocking(process.reading, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self, settings: dict[str, Any], cells: list[dict[str, Any]]) -> None:
        """Send the settings and the cells, and wait until the student's code is about to run.

        Raises:
            NotStartedError: when that does not come about: it cannot be the student's doing.
        """
        process, deadline = self.process, time.monotonic() + START_SECONDS
        places = {"scratch": process.scratch, "library": process.library, "limits": self._limits()}
        try:
            process.go(self.group)
            self.send(process.program, deadline)
            self.send_json({**settings, **places}, deadline)
            self.send_json(cells, deadline)
            if self.receive(deadline, 1000)[:1] != b"S":
                raise StoppedError("sent something else")
            # before this, the folders that the first process sees may still be the machine's own
            self._started = process.isolated
        except StoppedError as stopped:
            error = NotStartedError(
                f"the submission's process did not start: it {stopped}: {process.said()}",
                "give the chapter more memory or processes in course.toml if they ran out; "
                "else check that this Python can import IPython",
            )
            error.killed = stopped.ending is not None and stopped.ending.perhaps_from_outside
            raise error from None

    def _limits(self) -> dict[str, int]:
        """Limits that hold for each process. RLIMIT_DATA counts what is written to; the address space of
        libraries, which torch maps by gigabytes, has room of its own."""
        megabyte, budget = 1 << 20, self.budget
        limits = {
            "DATA": budget.memory_mb * megabyte,
            "AS": (budget.memory_mb + 8192) * megabyte,
            "FSIZE": budget.files_mb * megabyte,
            "NOFILE": 1024,
            "CORE": 0,
        }
        # elsewhere the limit would count all the processes that this user has
        return {**limits, "NPROC": budget.processes} if self.process.isolated else limits

    def send_json(self, value: Any, deadline: float) -> None:
        """Send one line."""
        self.send(json.dumps(value).encode() + b"\n", deadline)

    def send(self, data: bytes, deadline: float) -> None:
        """Send bytes.

        Raises:
            StoppedError: when the process ends, breaks a limit, or does not read them in time.
        """
        view = memoryview(data)
        while view:
            self._wait(self.process.writing, select.POLLOUT, deadline)
            try:
                view = view[os.write(self.process.writing, view[: 1 << 16]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise self._ended() from None

    def receive(self, deadline: float, most: int) -> bytes:
        """The next line, without its end.

        Raises:
            StoppedError: when the process ends, breaks a limit, sends a line longer than `most`, or none in
                time.
        """
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line
            searched = len(self._buffer)
            if searched > most:
                raise StoppedError("sent back too much")
            self._wait(self.process.reading, select.POLLIN, deadline)
            try:
                data = os.read(self.process.reading, 1 << 16)
            except BlockingIOError:
                continue
            if not data:
                raise self._ended()
            self._buffer += data

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        """Wait until `fd` is ready, looking after the process tree at every beat."""
        poll = select.poll()
        poll.register(fd, event)
        if self.process.bell is not None:
            poll.register(self.process.bell, select.POLLIN)
        while True:
            now = time.monotonic()
            if now - self._awake > AWAY:
                # on a busy machine this process may not have run for seconds: what came meanwhile came in time
                deadline = max(deadline, now + AWAY)
            self._awake = now
            if now >= self._next_look:
                self._look()
                self._next_look = now + self._beat
            if now > deadline:
                raise StoppedError("ran out of time")
            # what has come is read before the end is believed
            if any(ready == fd for ready, _ in poll.poll(self._beat * 1000)):
                return
            ending = self.process.ending(0)
            if ending is not None:
                raise self._stopped(ending)

    def _look(self) -> None:
        """Measure the tree; stop it when it uses more than the budget."""
        use = watch.usage(self.process.root, self.process.apart)
        self.cpu_seconds = max(self.cpu_seconds, use.cpu_seconds, self.group.cpu_seconds or 0)
        if self.group.out_of_memory:
            raise StoppedError(f"used more than {self.budget.memory_mb:,} MB of memory")
        self._looks += 1
        if self._looks % 4 == 0 or self._beat == FAST_BEAT:
            self._unmapped_mb = watch.unmapped_mb(use.pids)
        memory = use.memory_mb + self._unmapped_mb
        if memory > self.budget.memory_mb:
            memory = (watch.proportional_mb(use.pids[self.process.apart :]) or use.memory_mb) + self._unmapped_mb
        self.peak_mb = max(self.peak_mb, memory)
        self._beat = FAST_BEAT if 2 * memory > self.budget.memory_mb and not self.group.available else BEAT
        if memory > self.budget.memory_mb:
            raise StoppedError(f"used more than {self.budget.memory_mb:,} MB of memory")
        if use.threads > self.budget.processes + OWN_PROCESSES:
            raise StoppedError(f"started more than {self.budget.processes} processes")
        if self._started and len(use.pids) > 1:
            folders = (self.process.scratch, "/tmp", "/dev/shm")
            if sum(watch.files_in(use.pids[1], folder) for folder in folders) > MAX_FILES:
                raise StoppedError(f"wrote more than {MAX_FILES:,} files")

    def _ended(self) -> StoppedError:
        """What to raise when a pipe is closed: its process ends about now."""
        return self._stopped(self.process.ending(2) or Ending(None))

    def _stopped(self, ending: Ending) -> StoppedError:
        if self.group.out_of_memory:
            # the kernel kills with the same signal as everybody else
            return StoppedError(f"used more than {self.budget.memory_mb:,} MB of memory")
        return StoppedError(ending.words, ending)

    def close(self) -> None:
        """End everything that the process started and remove what it wrote. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(Exception):
            self._look()
        self.process.close()
        self.group.close()
        self.peak_mb = max(self.peak_mb, self.group.peak_mb or 0)
        self.cpu_seconds = max(self.cpu_seconds, self.group.cpu_seconds or 0)
