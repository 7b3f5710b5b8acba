"""One submission's processes as a control group of the kernel: memory and processes limited together, peak
and processor time read back, and an end for all of them at once.

Counted as memory is what the members and all they start are first to touch: their own memory, files in
memory (tmpfs, memfd, shared memory), page tables, pipes, sockets and swap. Not counted is what others touched
before: pages shared with a process that forked them, until they are written to, and what a process used
before it was added. The page cache of files on disk is charged too, but gives way at the limit, and is taken
off the figures here. The limit on processes counts threads. At the memory limit the kernel kills: with version
2 the whole group, with version 1 its largest process, and `out_of_memory` says so.

Both versions work, version 1 as root and version 2 where groups may be made: as root, in a folder that
systemd delegated (a desktop's terminal, `systemd-run --user --scope`, a unit with `DelegateSubgroup=`), in a
container whose `/sys/fs/cgroup` can be written. New groups lie below the grader's own. Where version 2 gives a
group that holds processes no controllers for such, they lie beside it, and limits put on the grader's own group
do not hold for them. No process but a submission's is ever moved. Elsewhere everything here does nothing and
says `available == False`.
"""

import contextlib
import functools
import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from grader.execution.cgroup_places import Place, attempts, candidates, enable, members, new_name, remove, sweep, write
from grader.execution.watch import tree

JOIN = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; exec "$@"'
FILES = {
    1: {
        "limit": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
        "now": ("memory.memsw.usage_in_bytes", "memory.usage_in_bytes"),
        "peak": ("memory.memsw.max_usage_in_bytes", "memory.max_usage_in_bytes"),
        "killed": ("memory.oom_control",),
    },
    2: {
        "limit": ("memory.max",),
        "now": ("memory.current",),
        "peak": ("memory.peak", "memory.current"),
        "killed": ("memory.events",),
    },
}


class Group:
    """A context manager around the processes of one submission. Nothing in it raises."""

    def __init__(self, place: Place, memory_mb: int, processes: int) -> None:
        self.available = place.available
        self.problem = place.problem
        self._files = FILES[place.version]
        self._largest = 0.0
        self._kept: dict[str, float] = {}
        name = new_name()
        self._folders = {kind: folder / name for kind, folder in place.folders.items()}
        if self.available:
            try:
                self._make(memory_mb << 20, processes)
            except OSError as error:
                self._give_up(error)
                self.close()

    def _make(self, limit: int, processes: int) -> None:
        for folder in set(self._folders.values()):
            folder.mkdir()
        memory = self._folders["memory"]
        for name in self._files["limit"]:
            if (memory / name).exists():
                write(memory / name, str(limit))
        for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            if (memory / name).exists():
                write(memory / name, value)
        write(self._folders["pids"] / "pids.max", str(processes))

    def _give_up(self, error: OSError) -> None:
        self.available, self.problem = False, f"no control group: {error}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def joining(self, program: list[str]) -> list[str]:
        """The command whose process joins the group and then becomes `program`, so that nothing escapes."""
        files = [str(folder / "cgroup.procs") for folder in set(self._folders.values())]
        return ["/bin/sh", "-c", JOIN, "join", *files, "--", *program] if self.available else program

    def add(self, pid: int) -> None:
        """Take in a process and all that it has started so far."""
        added: set[int] = set()
        while self.available and (new := [found for found in tree(pid) if found not in added]):
            for found in new:
                added.add(found)
                try:
                    for folder in set(self._folders.values()):
                        write(folder / "cgroup.procs", str(found))
                except ProcessLookupError:
                    continue
                except OSError as error:
                    # its members stay until the end, when they are killed as ever
                    return self._give_up(error)
        return None

    def pids(self) -> set[int]:
        """The members."""
        found: set[int] = set()
        for folder in set(self._folders.values()):
            with contextlib.suppress(OSError):
                found |= members(folder)
        return found

    @property
    def memory_mb(self) -> float | None:
        """Memory in use now; None where it is not known."""
        if self._kept or not self.available:
            return None
        self._largest = max(self._largest, self._read_memory("now"))
        return self._read_memory("now")

    @property
    def peak_mb(self) -> float | None:
        """The most memory that was ever in use, still known after the end; None where it is not."""
        if not self.available:
            return None
        self._largest = max(self._largest, self._kept.get("peak", 0.0) if self._kept else self._read_memory("peak"))
        return self._largest

    @property
    def cpu_seconds(self) -> float | None:
        """Processor time of all members so far, those that have ended included; None where it is not known."""
        if not self.available:
            return None
        return self._kept["cpu"] if self._kept else self._read_cpu()

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel has killed a member because the memory was at its limit."""
        return bool(self._kept["killed"] if self._kept else self._count("memory", self._files["killed"], "oom_kill"))

    @property
    def out_of_processes(self) -> bool:
        """Whether the start of a process or thread was refused because there were as many as allowed."""
        return bool(self._kept["refused"] if self._kept else self._count("pids", ("pids.events",), "max"))

    def kill(self) -> bool:
        """End every member. False where one outlives the patience: it hangs in the kernel."""
        if not self._folders or self._kept:
            return True
        with contextlib.suppress(OSError):
            # whoever forks as fast as it is killed stops here
            write(self._folders["pids"] / "pids.max", "0")
        for _ in attempts():
            with contextlib.suppress(OSError, KeyError):
                write(self._folders["unified"] / "cgroup.kill", "1")
            handles = {pid: handle for pid in self.pids() if (handle := _open(pid)) is not None}
            # asked again: a number that was given to another process meanwhile is no member
            still = self.pids()
            for pid, handle in handles.items():
                with contextlib.suppress(OSError):
                    if pid in still:
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                os.close(handle)
            if not still:
                return True
        return False

    def close(self) -> None:
        """End every member, keep the figures and remove the group. Safe to call twice."""
        if not self._folders or self._kept:
            return
        self.kill()
        figures = {"peak": self.peak_mb or 0.0, "cpu": self.cpu_seconds or 0.0}
        self._kept = {**figures, "killed": float(self.out_of_memory), "refused": float(self.out_of_processes)}
        for folder in set(self._folders.values()):
            remove(folder)

    def _read_memory(self, what: str) -> float:
        """A figure without the page cache of files on disk, in MB."""
        folder = self._folders["memory"]
        used = next((value for name in self._files[what] if (value := _number(folder / name)) is not None), 0)
        prefix = "total_" if "total_shmem" in (stat := _table(folder / "memory.stat")) else ""
        files = stat.get(f"{prefix}cache", stat.get("file", 0)) - stat.get(f"{prefix}shmem", 0)
        return max(0.0, used - files) / 2**20

    def _read_cpu(self) -> float:
        if "unified" in self._folders:
            return _table(self._folders["unified"] / "cpu.stat").get("usage_usec", 0) / 1e6
        return (_number(self._folders.get("cpuacct", Path()) / "cpuacct.usage") or 0) / 1e9

    def _count(self, kind: str, names: tuple[str, ...], key: str) -> int:
        return _table(self._folders[kind] / names[0]).get(key, 0) if self.available else 0


def group(memory_mb: int, processes: int) -> Group:
    """A new group with its limits, to be used in a `with`; one that does nothing where there can be none."""
    return Group(find(), memory_mb, processes)


@functools.cache
def find() -> Place:
    """Where groups can be made here, after one was made, held a process and was removed. Never raises.

    Groups that a killed grader left are removed first.
    """
    problem = "this machine shows no control groups"
    with contextlib.suppress(OSError, ValueError):
        mounts, own = Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text()
        for place in candidates(mounts, own):
            problem = try_out(place)
            if not problem:
                return place
    return Place(problem=problem)


def try_out(place: Place) -> str:
    """Make a group there and put a process into it; what went wrong, or nothing."""
    try:
        if place.version == 2:
            enable(place.folders["unified"])
        for folder in set(place.folders.values()):
            sweep(folder)
        with Group(place, 256, 64) as trial:
            if not trial.available:
                return trial.problem
            done = subprocess.run(trial.joining(["/bin/cat"]), input=b"", capture_output=True, timeout=30)
            if done.returncode or not trial.peak_mb:
                return f"no control group holds a process: {done.stderr.decode(errors='replace').strip()[-300:]}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no control group: {error}"
    return ""


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _table(path: Path) -> dict[str, int]:
    """Lines of a word and a number."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) == 2 and words[1].isdigit()}
