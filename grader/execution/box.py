"""One running sandbox: its process, the pipes to it, its limits, and its end.

Everything that waits here waits with a deadline and looks after the process tree meanwhile, so that no
submission can make the grader wait longer, hold more memory or leave anything running.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from grader.course import Budget
from grader.errors import EnvironmentProblem
from grader.execution import sandbox, watch

START_SECONDS = 120
"""For Python and its imports on a busy machine; nothing of the student's has run by then."""
BEAT = 0.05
"""Seconds between two looks at the process tree."""
MAX_FILES = 50_000

BOOT = """
import os, sys, types
feed = os.fdopen(os.dup(0), "rb")
modules = []
for _ in range(3):
    name, size = feed.readline().decode().split()
    module = types.ModuleType(name)
    exec(compile(feed.read(int(size)), f"<{name}>", "exec"), module.__dict__)
    modules.append(module)
wire, shell, inside = modules
inside.main(feed, wire, shell)
"""


class StoppedError(Exception):
    """The process is gone or was stopped; the argument is the reason, a clause that begins with a verb."""


class Box:
    """A context manager around one sandboxed process that runs `inside.py`."""

    def __init__(self, budget: Budget, isolated: bool, packages: tuple[str, ...] = ()) -> None:
        self.budget = budget
        self.isolated = isolated
        self.peak_mb = 0.0
        self.cpu_seconds = 0.0
        self._buffer = bytearray()
        self._next_look = 0.0
        self._looks = 0
        self._started = False
        self._unmapped_mb = 0.0
        self._folder: str | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        program = [sys.executable, "-P", "-c", BOOT]
        with contextlib.ExitStack() as stack:
            filters: tuple[int, ...] = ()
            environment: dict[str, str] = {}
            if isolated:
                self.scratch = sandbox.SCRATCH
                filters = stack.enter_context(sandbox.system_call_filter())
                program = sandbox.command(sandbox.find_bubblewrap(), program, budget.files_mb, packages, filters)
            else:
                self.scratch = self._folder = tempfile.mkdtemp(prefix="grading-")
                environment = sandbox.environment(self.scratch)
            self._process = subprocess.Popen(
                program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment,
                cwd=self._folder or "/",
                start_new_session=True,
                pass_fds=filters,
                bufsize=0,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self, settings: dict[str, Any], cells: list[dict[str, Any]]) -> None:
        """Send the program, the settings and the cells, and wait until the student's code is about to run.

        Raises:
            EnvironmentProblem: when that does not come about: it cannot be the student's doing.
        """
        here = Path(__file__).parent
        data = b""
        for path in (here.parent / "wire.py", here / "shell.py", here / "inside.py"):
            text = path.read_bytes()
            data += f"{path.stem} {len(text)}\n".encode() + text
        deadline = time.monotonic() + START_SECONDS
        try:
            self.send(data, deadline)
            self.send_json({**settings, "scratch": self.scratch, "limits": self._limits()}, deadline)
            self.send_json(cells, deadline)
            if self.receive(deadline, 1000)[:1] != b"S":
                raise StoppedError("sent something else")
            # before this, the folders that the first process sees may still be the machine's own
            self._started = self.isolated
        except StoppedError as stopped:
            self._errors.seek(0)
            said = self._errors.read(1 << 20).decode("utf-8", "replace").strip()[-800:]
            raise EnvironmentProblem(
                f"the submission's process did not start: it {stopped}: {said}",
                "give the chapter more memory or processes in course.toml if they ran out; "
                "else check that this Python can import IPython",
            ) from None

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
        return {**limits, "NPROC": budget.processes} if self.isolated else limits

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
            self._wait(self._in, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._in, view[: 1 << 16]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise StoppedError(self._how_it_ended()) from None

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
            self._wait(self._out, select.POLLIN, deadline)
            try:
                data = os.read(self._out, 1 << 16)
            except BlockingIOError:
                continue
            if not data:
                raise StoppedError(self._how_it_ended())
            self._buffer += data

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        """Wait until `fd` is ready, looking after the process tree at every beat."""
        poll = select.poll()
        poll.register(fd, event)
        while True:
            now = time.monotonic()
            if now >= self._next_look:
                self._look()
                self._next_look = now + BEAT
            if now > deadline:
                raise StoppedError("ran out of time")
            if poll.poll(BEAT * 1000):
                return
            if self._process.poll() is not None:
                raise StoppedError(self._how_it_ended())

    def _look(self) -> None:
        """Measure the tree; stop it when it uses more than the budget."""
        use = watch.usage(self._process.pid)
        self.cpu_seconds = max(self.cpu_seconds, use.cpu_seconds)
        self._looks += 1
        if self._looks % 4 == 0:
            self._unmapped_mb = watch.unmapped_mb(use.pids)
        memory = use.memory_mb + self._unmapped_mb
        if memory > self.budget.memory_mb:
            memory = (watch.proportional_mb(use.pids) or use.memory_mb) + self._unmapped_mb
        self.peak_mb = max(self.peak_mb, memory)
        if memory > self.budget.memory_mb:
            raise StoppedError(f"used more than {self.budget.memory_mb:,} MB of memory")
        if use.threads > self.budget.processes + 8:
            raise StoppedError(f"started more than {self.budget.processes} processes")
        folders = (self.scratch, "/tmp", "/dev/shm") if self._started and len(use.pids) > 1 else ()
        if sum(watch.files_in(use.pids[1], folder) for folder in folders) > MAX_FILES:
            raise StoppedError(f"wrote more than {MAX_FILES:,} files")

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        code = self._process.returncode
        if code is None:
            return "closed its connection to the grader"
        number = -code if code < 0 else code - 128
        if number in set(signal.Signals):
            return f"ended with {signal.Signals(number).name}"
        return f"ended the process with exit code {code}"

    def close(self) -> None:
        """End everything that runs in the sandbox and remove what it wrote. Safe to call twice."""
        if self._process.stdin is None or self._process.stdin.closed:
            return
        with contextlib.suppress(Exception):
            self._look()
        for pid in watch.tree(self._process.pid)[1:]:
            self._kill(pid)
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _kill(self, pid: int) -> None:
        """Kill a process and wait for its end; that of the sandbox's init is the end of all others in it."""
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], 5)
            finally:
                os.close(handle)
