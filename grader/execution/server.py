"""The program of the fork server: imports what a chapter imports, then forks once for each submission.

The text of this file is sent into a sandbox of the server's own (`grader.execution.warm`) and runs there. It
never sees a submission: the pipes of each go straight to the fork. It runs no operation of any library that it
has imported, for a process that has threads cannot be forked.

Messages on the control socket, JSON and descriptors. In: limits of one submission, with the two pipes and the
status socket of its process. Out: `pid` and a pidfd of the fork, or `problem`.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import traceback
from typing import Any

ALSO = ("IPython.core.ultratb", "pygments.lexers", "pygments.formatters", "stack_data", "unicodedata", "asyncio")
"""What every submission needs sooner or later and IPython imports late."""


def threads() -> int:
    """How many threads this process has."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


def import_all(names: list[str]) -> dict[str, str]:
    """Import modules; by name, what went wrong with those that cannot be imported here."""
    problems = {}
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as error:
            problems[name] = f"{type(error).__name__}: {str(error)[:200]}"
        if threads() > 1:
            return {**problems, name: "starts a thread"}
    return problems


class Server:
    """The loop, and what the forks share."""

    def __init__(self, settings: dict[str, Any], seccomp: bytes, modules: dict[str, Any]) -> None:
        self.settings, self.seccomp, self.modules = settings, seccomp, modules
        self.control = socket.socket(fileno=settings["control"])
        self.control.set_inheritable(False)
        self.shell: Any = None
        self.user, self.group = os.getuid(), os.getgid()

    def prepare(self) -> dict[str, str]:
        """Imports alone, and the shell before them: some modules look for it and hook themselves in."""
        self.modules["inside"].lay_out(self.settings)
        self.modules["inside"].narrow_path(self.settings)
        self.shell = self.modules["shell"].make_shell()
        problems = import_all([*ALSO, *self.settings["imports"]])
        # children then share these pages instead of copying them at their first collection
        gc.collect()
        gc.freeze()
        return problems

    def serve(self) -> None:
        """Fork until the host closes the socket."""
        while True:
            data, descriptors, *_ = socket.recv_fds(self.control, 1 << 16, 8)
            if not data:
                os._exit(0)
            if threads() > 1:
                self.reply({"problem": "the server has a second thread"})
                continue
            try:
                pid = self.modules["namespaces"].fork_apart()
            except OSError as error:
                self.reply({"problem": str(error)})
                continue
            if pid == 0:
                self.become_first(json.loads(data), *descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            handle = os.pidfd_open(pid)
            self.reply({"pid": pid}, handle)
            # its end also means the end of all that it started; the host sees to it
            select.select([handle, self.control.fileno()], [], [])
            os.close(handle)
            self.reap()

    def reap(self) -> None:
        """Forget forks that have ended."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def reply(self, message: dict[str, Any], *descriptors: int) -> None:
        """Answer the host; without one there is nothing left to do."""
        try:
            socket.send_fds(self.control, [json.dumps(message).encode()], descriptors)
        except OSError:
            os._exit(0)

    def become_first(self, limits: dict[str, Any], feed: int, report: int, status: int) -> None:
        """In the fork: be the first process of the new namespaces, and start the student's. Never returns."""
        try:
            channel = socket.socket(fileno=status)
            self.control.close()
            # a handler would let signals from inside reach the first process of a pid namespace
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            namespaces = self.modules["namespaces"]
            try:
                namespaces.settle(self.user, self.group, limits["files_mb"], limits["files"], limits["kept"])
                # the host has put this process into its group of limits
                if channel.recv(1) != b"g":
                    os._exit(0)
                student = os.fork()
            except OSError as error:
                channel.sendall(f"broken {error}\n".encode())
                os._exit(0)
            if student == 0:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                channel.close()
                self.become_student(feed, report)
            namespaces.hide_from_student()
            self.modules = {}
            tend(student, channel, (feed, report))
        except BaseException:
            # where the host reads what goes wrong before a student's code runs
            traceback.print_exc()
        finally:
            os._exit(1)

    def become_student(self, feed: int, report: int) -> None:
        """In the fork of the fork: give up all rights and run the submission."""
        os.setsid()
        os.dup2(feed, 0)
        os.dup2(report, 1)
        os.closerange(3, 1 << 16)
        self.modules["namespaces"].drop_rights(self.seccomp)
        inside, shell, wire = (self.modules[name] for name in ("inside", "shell", "wire"))
        inside.main(os.fdopen(os.dup(0), "rb"), wire, shell, self.shell)


def tend(student: int, channel: socket.socket, pipes: tuple[int, ...]) -> None:
    """Reap whatever ends inside; tell the host how the student's process ended; stay until the host ends all.

    The host still wants to see in /proc what the ended ones have used.
    """
    for pipe in pipes:
        os.close(pipe)
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            channel.recv(1)
            return
        if pid == student:
            channel.sendall(f"ended {os.waitstatus_to_exitcode(status)}\n".encode())


def main(settings: dict[str, Any], seccomp: bytes, modules: dict[str, Any]) -> None:
    """Prepare, say so, and serve.

    Args:
        settings: `control`, the number of the socket; `imports`; and those of `inside.lay_out`.
        seccomp: the filter for the students' processes.
        modules: the modules `wire`, `shell`, `inside` and `namespaces`.
    """
    server = Server(settings, seccomp, modules)
    problems = server.prepare()
    # the first process of this sandbox: its end is the end of everything in it
    handle = os.pidfd_open(1)
    server.reply({"ready": True, "problems": problems, "threads": threads()}, handle)
    os.close(handle)
    server.serve()
