"""The host's side of one fork server: start it, ask it for forks, know how they ended, end it.

The server lives in a sandbox of its own (`server.py`); a fork of it gets namespaces of its own inside that
(`namespaces.py`), which only the kernel could open. What this module holds of the two are a socket and
descriptors of processes, so that a process number that was given out again never confuses it.
"""

import base64
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from grader.course import Budget
from grader.execution import sandbox, watch
from grader.execution.box import MAX_FILES
from grader.execution.cgroups import Group
from grader.execution.plan import Library
from grader.execution.process import Ending, kill, kill_by_handle, program_text
from grader.execution.syscalls import filter_program

START_SECONDS = 120
"""For the imports of a chapter on a busy machine."""
FORK_SECONDS = 20
"""For one fork. A server that needs longer is replaced."""
SIZE_MB = 64
"""Of the server's own writable folder, in which nothing of a student ever lies."""

BOOT = """
import base64, json, os, sys, types
feed = os.fdopen(0, "rb", closefd=False)
modules = {}
for _ in range(5):
    name, size = feed.readline().decode().split()
    modules[name] = types.ModuleType(name)
    exec(compile(feed.read(int(size)), f"<{name}>", "exec"), modules[name].__dict__)
settings = json.loads(feed.readline())
null = os.open(os.devnull, os.O_RDWR)
os.dup2(null, 0); os.dup2(null, 1); os.close(null); del feed, null
modules["server"].main(settings, base64.b64decode(settings.pop("seccomp")), modules)
"""


class WarmProblem(Exception):
    """A warm start did not come about; the argument says why. It is never the student's doing."""


class Server:
    """One fork server; used by one submission at a time."""

    def __init__(self, library: Library, folder: Path, bubblewrap: sandbox.Bubblewrap, without: tuple[str, ...] = ()):
        self.forks = 0
        self.problems: dict[str, str] = {}
        self._init: int | None = None
        self._kept = sandbox.shown_below_tmp(library.packages)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = [sys.executable, "-P", "-c", BOOT]
        command = sandbox.command(bubblewrap, program, SIZE_MB, library.packages, (), folder, for_server=True)
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env={},
                cwd="/",
                start_new_session=True,
                pass_fds=[theirs.fileno()],
            )
            settings = {
                "control": theirs.fileno(),
                "scratch": sandbox.SCRATCH,
                "library": sandbox.LIBRARY,
                "packages": library.packages,
                "imports": [name for name in library.imports if name not in without],
                "seccomp": base64.b64encode(filter_program()).decode(),
            }
        try:
            self._begin(program_text("wire", "shell", "inside", "namespaces", "server"), settings)
        except BaseException:
            self.close()
            raise

    def _begin(self, program: bytes, settings: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(program + json.dumps(settings).encode() + b"\n")
        ready, [self._init] = self._receive(START_SECONDS)
        self.problems = ready["problems"]
        threaded = [name for name, words in self.problems.items() if words == "starts a thread"]
        if ready["threads"] > 1:
            raise ThreadedError(threaded)

    @property
    def alive(self) -> bool:
        """Whether it is there to be asked."""
        if self._init is None or self._control.fileno() < 0:
            return False
        return not select.select([self._init], [], [], 0)[0]

    def fork(self, budget: Budget, released: Callable[[], None] = lambda: None) -> "Forked":
        """A new process for one submission; `released` is called when it is closed.

        Raises:
            WarmProblem: when the server is gone, is slow, or answers with anything else.
        """
        self.forks += 1
        feed, writing = os.pipe2(os.O_CLOEXEC)
        reading, report = os.pipe2(os.O_CLOEXEC)
        status, theirs = socket.socketpair()
        request = {"files_mb": budget.files_mb, "files": MAX_FILES, "kept": self._kept}
        ours = (writing, reading, status.detach())
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], [feed, report, theirs.fileno()])
            answer, handles = self._receive(FORK_SECONDS)
        except OSError as error:
            close_all(ours)
            raise WarmProblem(f"the fork server is gone: {error}") from None
        except WarmProblem:
            close_all(ours)
            raise
        finally:
            close_all((feed, report, theirs.detach()))
        if len(handles) != 1:
            close_all((*ours, *handles))
            raise WarmProblem(f"the fork server: {str(answer.get('problem'))[:300]}")
        return Forked(self, handles[0], ours, released)

    def _receive(self, seconds: float) -> tuple[dict[str, Any], list[int]]:
        if not select.select([self._control], [], [], seconds)[0]:
            raise WarmProblem(f"the fork server did not answer within {seconds:g} s")
        try:
            data, descriptors, *_ = socket.recv_fds(self._control, 1 << 16, 4)
        except OSError as error:
            raise WarmProblem(f"the fork server is gone: {error}") from None
        if not data:
            raise WarmProblem(f"the fork server ended: {self.said()}")
        return json.loads(data), descriptors

    def said(self) -> str:
        """The end of what it wrote on stderr."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 800))
        return self._errors.read().decode("utf-8", "replace").strip()

    def close(self) -> None:
        """End it and everything in its sandbox. Safe to call twice."""
        if self._control.fileno() < 0:
            return
        self._control.close()
        if self._init is not None:
            kill_by_handle(self._init)
            os.close(self._init)
        for pid in watch.tree(self._process.pid)[1:]:
            kill(pid)
        self._process.kill()
        self._process.wait()
        self._errors.close()


class ThreadedError(WarmProblem):
    """Modules started threads when they were imported, so the process cannot be forked; the argument: their names."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"threads were started by the import of {', '.join(names) or 'something'}")
        self.names = tuple(names)


class Forked:
    """See `grader.execution.process.Process`: a fork of a server."""

    start = "warm"
    isolated = True
    program = b""
    scratch, library = sandbox.SCRATCH, sandbox.LIBRARY
    apart = 1

    def __init__(
        self, server: Server, handle: int, descriptors: tuple[int, int, int], released: Callable[[], None]
    ) -> None:
        self.server, self._released = server, released
        self.writing, self.reading, status = descriptors
        self.bell: int | None = status
        self._handle, self._status = handle, socket.socket(fileno=status)
        self._said = b""
        self._ending: Ending | None = None
        self.root = pid_of(handle)

    def go(self, group: Group) -> None:
        """Let it start the student's process, which is then a member of the group as well."""
        group.add(self.root)
        with contextlib.suppress(OSError):
            self._status.sendall(b"g")

    def ending(self, seconds: float) -> Ending | None:
        """How it ended; None when it has not, after as many seconds."""
        until = time.monotonic() + seconds
        while self._ending is None and select.select([self._status], [], [], max(0, until - time.monotonic()))[0]:
            try:
                data = self._status.recv(1000)
            except OSError:
                data = b""
            self._said += data
            word, _, rest = self._said.decode("utf-8", "replace").partition(" ")
            if word == "ended" and rest.endswith("\n"):
                self._ending = Ending(int(rest))
            elif not data:
                # the first process was ended, or never came to be what it should
                self._ending = Ending(None, from_outside=True)
        return self._ending

    def said(self) -> str:
        """What went wrong before the student's code ran."""
        return f"{self._said.decode('utf-8', 'replace').strip()} {self.server.said()}".strip()

    def close(self) -> None:
        """End it and all that it started: its namespaces go with it, and its files with them."""
        kill_by_handle(self._handle)
        self.bell = None
        self._status.close()
        close_all((self._handle, self.writing, self.reading))
        self._released()


def pid_of(handle: int) -> int:
    """The number of a pidfd's process as this process sees it; -1 when it has ended."""
    for line in Path(f"/proc/self/fdinfo/{handle}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return -1


def close_all(descriptors: tuple[int, ...]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)
