"""A submission's process started from nothing: bubblewrap, Python, its imports. Or, without a sandbox, Python."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from grader.execution import sandbox, shelf, watch
from grader.execution.cgroups import Group
from grader.execution.plan import Plan
from grader.execution.process import Ending, kill, program_text

BOOT = """
import os, sys, types
feed = os.fdopen(os.dup(0), "rb")
modules = {}
for _ in range(3):
    name, size = feed.readline().decode().split()
    modules[name] = types.ModuleType(name)
    exec(compile(feed.read(int(size)), f"<{name}>", "exec"), modules[name].__dict__)
modules["inside"].main(feed, modules["wire"], modules["shell"])
"""


class ColdProcess:
    """See `grader.execution.process.Process`."""

    start = "cold"
    bell: int | None = None
    apart = 0

    def __init__(self, plan: Plan, isolated: bool, group: Group) -> None:
        self.isolated = isolated
        self.program = program_text("wire", "shell", "inside")
        self._folder: str | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        program = [sys.executable, "-P", "-c", BOOT]
        folder = shelf.library_folder(plan)
        with contextlib.ExitStack() as stack:
            filters: tuple[int, ...] = ()
            environment: dict[str, str] = {}
            if isolated:
                self.scratch, self.library = sandbox.SCRATCH, sandbox.LIBRARY
                filters = stack.enter_context(sandbox.system_call_filter())
                found, size = sandbox.find_bubblewrap(), plan.budget.files_mb
                program = sandbox.command(found, program, size, plan.library.packages, filters, folder)
            else:
                self.scratch = self._folder = tempfile.mkdtemp(prefix="grading-")
                # a copy of its own: nothing keeps this process from changing it
                self.library = str(shutil.copytree(folder, Path(self.scratch) / "library"))
                environment = sandbox.environment(self.scratch)
            self._process = subprocess.Popen(
                group.joining(program),
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
        self.root = self._process.pid
        self.writing, self.reading = self._process.stdin.fileno(), self._process.stdout.fileno()

    def go(self, group: Group) -> None:
        """It has begun, and joined the group before anything else."""

    def ending(self, seconds: float) -> Ending | None:
        """How it ended; None when it has not, after as many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        code = self._process.returncode
        if code is None or not self.isolated:
            return None if code is None else Ending(code)
        # bubblewrap tells of a signal as a shell does; one that ended bubblewrap itself came from outside
        return Ending(code, from_outside=True) if code < 0 else Ending(128 - code if code > 128 else code)

    def said(self) -> str:
        """What it wrote on stderr before the student's code ran."""
        self._errors.seek(0)
        return self._errors.read(1 << 20).decode("utf-8", "replace").strip()[-800:]

    def close(self) -> None:
        """End it and all that it started, and remove what it wrote."""
        for pid in watch.tree(self.root)[1:]:
            kill(pid)
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
