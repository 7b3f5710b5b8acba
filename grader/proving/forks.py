"""A function's result from a process of its own: forked, limited in time and memory, several at once.

A candidate may loop for ever, eat memory, end the process or change what it imported; none of it reaches
the next one. Not a sandbox: authors are trusted.
"""

import json
import math
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

MEMORY = 4 << 30
"""Address space that a child may take beyond what its parent has."""


@dataclass(frozen=True)
class Job:
    """A function without arguments, whose result JSON can hold.

    Attributes:
        key: comes back with the result.
        work: the function.
        seconds: of wall time that it may take.
        cpu_seconds: of CPU time that it may take; a busy machine does not use it up.
    """

    key: int
    work: Callable[[], Any]
    seconds: float
    cpu_seconds: float | None = None


@dataclass
class _Child:
    job: Job
    pid: int
    deadline: float
    chunks: list[bytes] = field(default_factory=list)


def run_forked(jobs: Iterable[Job], parallel: int) -> Iterator[tuple[int, Any, str]]:
    """Run every job in a child, at most `parallel` at a time; yields (key, result, "") as they end.

    A child that gives no result yields (key, None, why).
    """
    waiting = list(jobs)[::-1]
    running: dict[int, _Child] = {}
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                pipe, child = _start(waiting.pop())
                running[pipe] = child
            patience = max(0.0, min(child.deadline for child in running.values()) - time.monotonic())
            ready, _, _ = select.select(list(running), [], [], patience)
            for pipe in ready:
                data = os.read(pipe, 1 << 20)
                running[pipe].chunks.append(data)
                if not data:
                    yield _end(pipe, running.pop(pipe))
            for pipe, child in list(running.items()):
                if time.monotonic() >= child.deadline:
                    del running[pipe]
                    os.kill(child.pid, signal.SIGKILL)
                    os.close(pipe)
                    os.waitpid(child.pid, 0)
                    yield child.job.key, None, f"no result within {child.job.seconds:g} s"
    finally:
        for pipe, child in running.items():
            os.kill(child.pid, signal.SIGKILL)
            os.close(pipe)
            os.waitpid(child.pid, 0)


def _start(job: Job) -> tuple[int, _Child]:
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(read_end)
            _limit(job.cpu_seconds or job.seconds)
            data = json.dumps(job.work()).encode()
            with os.fdopen(write_end, "wb") as pipe:
                pipe.write(data)
            code = 0
        finally:
            os._exit(code)
    os.close(write_end)
    return read_end, _Child(job, pid, time.monotonic() + job.seconds)


def _limit(cpu_seconds: float) -> None:
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - one read in every child
        pages = int(statm.read().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # a fork starts with no CPU time used
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(cpu_seconds), math.ceil(cpu_seconds) + 1))


def _end(pipe: int, child: _Child) -> tuple[int, Any, str]:
    os.close(pipe)
    _, status = os.waitpid(child.pid, 0)
    try:
        return child.job.key, json.loads(b"".join(child.chunks)), ""
    except ValueError:
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGXCPU:
            return child.job.key, None, "no result within its CPU time"
        return child.job.key, None, f"the process ended with {code} before there was a result"
