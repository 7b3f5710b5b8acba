"""What a process tree uses, read from /proc: memory, processor time, threads, files in the sandbox."""

import os
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What a tree uses at one moment."""

    memory_mb: float
    cpu_seconds: float
    threads: int
    pids: tuple[int, ...]


def usage(root: int, apart: int = 0) -> Usage:
    """What `root` and all below it use; without the memory of the first `apart` of them.

    In a process namespace, orphans stay below its first process.
    """
    pages = ticks = threads = 0
    pids = tree(root)
    for number, pid in enumerate(pids):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (OSError, UnicodeDecodeError):
            continue
        ticks += sum(int(field) for field in fields[11:15])
        threads += int(fields[17])
        pages += int(fields[21]) if number >= apart else 0
    return Usage(pages * PAGE / 2**20, ticks / TICK, threads, tuple(pids))


def proportional_mb(pids: tuple[int, ...]) -> float:
    """Memory with shared pages counted once, which takes longer to read than the plain sum."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def tree(root: int) -> list[int]:
    """`root` and its descendants, parents first."""
    found = [root]
    for pid in found:
        try:
            threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
            for thread in threads:
                found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
        except OSError:
            continue
    return found


def files_in(pid: int, folder: str) -> int:
    """How many files the file system at `folder`, as `pid` sees it, holds; 0 where that cannot be asked."""
    try:
        stat = os.statvfs(f"/proc/{pid}/root{folder}")
    except OSError:
        return 0
    return stat.f_files - stat.f_ffree


def unmapped_mb(pids: tuple[int, ...]) -> float:
    """Memory in anonymous files (memfd): as long as they are not mapped, no process's memory shows them."""
    files = {}
    for pid in pids:
        try:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                if str(Path(entry.path).readlink()).startswith("/memfd:"):
                    stat = entry.stat()
                    files[stat.st_dev, stat.st_ino] = stat.st_blocks
        except OSError:
            continue
    return sum(files.values()) * 512 / 2**20
