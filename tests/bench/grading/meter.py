"""What a command costs: CPU seconds of it and of all that it starts, and memory over time.

The CPU seconds are the kernel's own count for a control group, where one can be made: it misses no process, whoever
ended it. Elsewhere they are those of all children that were waited for.
"""

import contextlib
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OLD_GROUPS = Path("/sys/fs/cgroup/cpuacct")
NEW_GROUPS = Path("/sys/fs/cgroup")


@dataclass
class Cost:
    """What a command took.

    Attributes:
        cpu: seconds of all processors together.
        wall: seconds.
        counted_by: "cgroup" or "rusage".
        said: what it printed last.
    """

    cpu: float
    wall: float
    counted_by: str
    said: str = ""


class Group:
    """A control group that counts CPU time; without one, the times of waited-for children."""

    def __init__(self, name: str) -> None:
        self.folder: Path | None = None
        for parent in (OLD_GROUPS, NEW_GROUPS):
            usage = "cpuacct.usage" if parent is OLD_GROUPS else "cpu.stat"
            folder = parent / f"bench-{os.getpid()}-{name}"
            with contextlib.suppress(OSError):
                folder.mkdir()
                if (folder / usage).is_file() and (folder / "cgroup.procs").is_file():
                    self.folder, self.usage = folder, folder / usage
                    break
                folder.rmdir()

    @property
    def counted_by(self) -> str:
        return "cgroup" if self.folder is not None else "rusage"

    def enter(self) -> None:
        """Count this process from now on, and all that it starts."""
        if self.folder is not None:
            (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def seconds(self) -> float:
        if self.folder is None:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime
        text = self.usage.read_text()
        if self.usage.name == "cpuacct.usage":
            return int(text) / 1e9
        return int(dict(line.split() for line in text.splitlines())["usage_usec"]) / 1e6

    def close(self) -> None:
        """Count no longer, and take the group away."""
        if self.folder is not None:
            with contextlib.suppress(OSError):
                if str(os.getpid()) in (self.folder / "cgroup.procs").read_text().split():
                    (self.folder.parent / "cgroup.procs").write_text(str(os.getpid()))
                self.folder.rmdir()


def cost_of(
    command: Sequence[str | Path], folder: Path, environment: dict[str, str], memory: "Memory | None" = None
) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: when it fails; with the end of what it said.
    """
    group = Group(f"{time.monotonic_ns()}")
    with (folder / "said.log").open("wb") as log:
        before, began = group.seconds(), time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command], cwd=folder, env=environment, stdout=log, stderr=log, preexec_fn=group.enter
        )
        with memory.watching(process.pid) if memory is not None else contextlib.nullcontext():
            code = process.wait()
        cost = Cost(group.seconds() - before, time.monotonic() - began, group.counted_by)
    group.close()
    cost.said = "\n".join((folder / "said.log").read_text(errors="replace").strip().splitlines()[-15:])
    if code:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {code}: {cost.said}")
    return cost


@dataclass
class Memory:
    """Megabytes of a tree of processes over time, by what they are.

    Each page of memory is counted once (PSS): forks that share their pages with a server do not count them again.

    Attributes:
        folder: its number of entries is how far the work is.
        samples: one dictionary for each look.
    """

    folder: Path
    every: float = 2.0
    samples: list[dict[str, float]] = field(default_factory=list)

    @contextlib.contextmanager
    def watching(self, root: int) -> Iterator[None]:
        """Look every few seconds as long as the block lasts."""
        ended = threading.Event()
        began = time.monotonic()

        def look() -> None:
            while not ended.wait(self.every):
                sample = {"seconds": time.monotonic() - began, "done": self._done()}
                for kind, megabytes in memory_of(root).items():
                    sample[kind] = megabytes
                self.samples.append(sample)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _done(self) -> int:
        try:
            with os.scandir(self.folder) as entries:
                return sum(1 for _ in entries)
        except OSError:
            return 0


def memory_of(root: int) -> dict[str, float]:
    """Megabytes (PSS) of the coordinator (with Dask's scheduler in it), the workers, and the sandboxes."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdecimal():
            with contextlib.suppress(OSError, IndexError, ValueError):
                stat = Path("/proc", entry, "stat").read_text()
                children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found = {"coordinator": _megabytes(root), "workers": 0.0, "sandboxes": 0.0}
    waiting = [(pid, "workers") for pid in children.get(root, ())]
    while waiting:
        pid, kind = waiting.pop()
        kind = "sandboxes" if kind == "sandboxes" or _name(pid) == "bwrap" else kind
        found[kind] += _megabytes(pid)
        waiting += [(child, kind) for child in children.get(pid, ())]
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _megabytes(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
