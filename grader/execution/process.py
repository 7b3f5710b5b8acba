"""A process that runs a submission, as its box sees it: two pipes, what to watch, how it ended."""

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from grader.execution.cgroups import Group

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        code: its exit code, or minus the number of the signal that ended it; None where nobody can know.
        from_outside: it was ended from outside the sandbox, or what kept it was: no doing of the student's.
    """

    code: int | None
    from_outside: bool = False

    @property
    def words(self) -> str:
        """A clause that begins with a verb."""
        if self.code is None:
            return "closed its connection to the grader"
        if -self.code in set(signal.Signals):
            return f"ended with {signal.Signals(-self.code).name}"
        return f"ended the process with exit code {self.code}"

    @property
    def perhaps_from_outside(self) -> bool:
        """A signal that others than the process itself send as well: an operator, the kernel, a test."""
        return self.from_outside or self.code in (-signal.SIGKILL, -signal.SIGTERM)


class Process(Protocol):
    """What `grader.execution.box` needs of a process.

    Attributes:
        start: "warm" or "cold".
        isolated: whether it is in a sandbox.
        program: what to send before anything else.
        scratch: the writable folder as it sees it.
        library: the folder of the library slice as it sees it.
        writing: the descriptor of the pipe to it.
        reading: the descriptor of the pipe from it.
        bell: a descriptor that can be read from when the process has ended, where there is one.
        root: the process whose tree is watched.
        apart: how many of the first processes of that tree are the grader's own.
    """

    start: str
    isolated: bool
    program: bytes
    scratch: str
    library: str
    writing: int
    reading: int
    bell: int | None
    root: int
    apart: int

    def go(self, group: Group) -> None:
        """Let it begin, as a member of the group."""

    def ending(self, seconds: float) -> Ending | None:
        """How it ended; None when it has not, after as many seconds."""

    def said(self) -> str:
        """What it wrote on stderr before the student's code ran."""

    def close(self) -> None:
        """End it and all that it started, and remove what it wrote."""


def program_text(*names: str) -> bytes:
    """Modules as text, for a process that has nothing of the grader: a line with name and size before each."""
    data = b""
    for name in names:
        path = HERE.parent / "wire.py" if name == "wire" else HERE / f"{name}.py"
        text = path.read_bytes()
        data += f"{name} {len(text)}\n".encode() + text
    return data


def kill(pid: int) -> None:
    """Kill a process and wait for its end; that of a pid namespace's first process is the end of all in it."""
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            kill_by_handle(handle)
        finally:
            os.close(handle)


def kill_by_handle(handle: int) -> None:
    """Kill the process of a pidfd and wait for its end."""
    with contextlib.suppress(OSError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], 5)
