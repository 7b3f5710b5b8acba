"""Folders of the kernel in which new control groups can be made, and the removal of old ones.

Where groups lie is read from /proc; whether one can be made is tried in `grader.execution.cgroups`.
"""

import contextlib
import errno
import itertools
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 5.0
"""Seconds for killed processes to be gone, and for the kernel to let their group go."""
PREFIX = "grading"
_numbers = itertools.count()


@dataclass(frozen=True)
class Place:
    """Where groups can be made on this machine.

    Attributes:
        folders: the parent of new groups in each hierarchy: "memory", "pids", with version 1 perhaps
            "cpuacct", and "unified", the one of version 2. Empty where no group can be made.
        problem: why none can be made.
    """

    folders: Mapping[str, Path] = field(default_factory=dict)
    problem: str = ""

    @property
    def available(self) -> bool:
        """Whether groups can be made."""
        return bool(self.folders)

    @property
    def version(self) -> int:
        """2 where the memory is limited by version 2, else 1."""
        return 2 if self.folders.get("memory") == self.folders.get("unified") else 1


def candidates(mountinfo: str, own: str) -> Iterator[Place]:
    """Where groups might be made, best first.

    Args:
        mountinfo: the text of /proc/self/mountinfo.
        own: the text of /proc/self/cgroup.
    """
    folders = _own_folders(mountinfo, own)
    unified = folders.pop("unified", None)
    if unified is not None:
        for parent in (unified[0], unified[0].parent) if unified[0] != unified[1] else (unified[0],):
            yield Place(dict.fromkeys(("memory", "pids", "unified"), parent))
    if {"memory", "pids"} <= folders.keys():
        old = {kind: folder for kind, (folder, _) in folders.items() if kind in ("memory", "pids", "cpuacct")}
        if unified is not None:
            # it has no controllers to give, but ends a whole group at once
            yield Place({**old, "unified": unified[0]})
        yield Place(old)


def _own_folders(mountinfo: str, own: str) -> dict[str, tuple[Path, Path]]:
    """By controller, or "unified": the folder of this process's group, and where its hierarchy is mounted."""
    mounts: dict[str, tuple[str, Path]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split(maxsplit=2)
        point = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4]))
        names = {"cgroup": options.split(","), "cgroup2": ["unified"]}.get(kind, [])
        for name in names:
            mounts.setdefault(name, (fields[3], point))
    found = {}
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(",") if controllers else ["unified"]:
            root, point = mounts.get(name, ("", Path()))
            # a group outside what is mounted here has no folder
            if root and "/.." not in path and Path(path).is_relative_to(root):
                found[name] = (point / Path(path).relative_to(root), point)
    return found


def enable(folder: Path) -> None:
    """Let new groups in `folder` limit memory and processes. The kernel refuses where `folder` has members."""
    wanted = {"memory", "pids"} - set((folder / "cgroup.subtree_control").read_text().split())
    if wanted:
        write(folder / "cgroup.subtree_control", " ".join(f"+{name}" for name in sorted(wanted)))


def sweep(folder: Path) -> None:
    """Remove the groups in `folder` whose grader is gone."""
    for left in folder.glob(f"{PREFIX}-{_namespace()}-*"):
        words = left.name.split("-")
        if len(words) == 5 and words[2].isdigit() and _started(int(words[2])) != words[3]:
            remove(left)


def remove(folder: Path) -> None:
    """Remove a group as soon as the kernel allows, ending what is in it; what stays is swept by a later run."""
    for _ in attempts():
        # another run may be sweeping too
        with contextlib.suppress(OSError):
            for pid in members(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno == errno.EBUSY:
                continue
        return


def members(folder: Path) -> set[int]:
    """The processes in a group, without those that this one cannot name: the kernel shows them all as 0, and
    a signal to 0 would end the grader itself."""
    return {int(line) for line in (folder / "cgroup.procs").read_text().split()} - {0}


def attempts() -> Iterator[None]:
    """One attempt after the other until the patience is at its end, at first without a pause."""
    deadline, pause = time.monotonic() + PATIENCE, 0.0005
    while True:
        yield
        if time.monotonic() > deadline:
            return
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def write(path: Path, text: str) -> None:
    """Write into a file of the kernel's that is there already."""
    handle = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def new_name() -> str:
    """A name for a group that tells whose it is."""
    return f"{PREFIX}-{_namespace()}-{os.getpid()}-{_started(os.getpid())}-{next(_numbers)}"


def _namespace() -> int:
    """Process numbers mean something within it alone."""
    return Path("/proc/self/ns/pid").stat().st_ino


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks: with its number it names one process; empty when gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
