"""The processes of a running `course grade`, told apart by what they do."""

import contextlib
import random

import psutil

KINDS = ("coordinator", "worker", "server", "kernel")


def alive(pid: int) -> dict[str, list[psutil.Process]]:
    """The processes at and below a coordinator, by kind.

    A worker is one of Dask's. Below it, the first process that is no bubblewrap is the fork server of a warm
    sandbox or, in a cold one, the student's own; whatever runs below that belongs to a submission.
    """
    found: dict[str, list[psutil.Process]] = {kind: [] for kind in KINDS}
    with contextlib.suppress(psutil.Error):
        found["coordinator"].append(psutil.Process(pid))
        for child in found["coordinator"][0].children():
            _sort(child, found, inside=0)
    return found


def _sort(process: psutil.Process, found: dict[str, list[psutil.Process]], inside: int) -> None:
    """`inside`: 0 outside of any sandbox, 1 at its entrance, 2 beyond the first program in it."""
    with contextlib.suppress(psutil.Error):
        line = process.cmdline()
        if any("print('ready')" in part for part in line):
            return  # the question whether bubblewrap works here; nothing of a submission
        wrapped = bool(line) and line[0].rpartition("/")[2] == "bwrap"
        if not inside and any("spawn_main" in part for part in line):
            found["worker"].append(process)
        deeper = inside
        if wrapped:
            deeper = max(inside, 1)
        elif inside == 1:
            serves = bool(process.children()) or _is_server(line)
            found["server" if serves else "kernel"].append(process)
            deeper = 2
        elif inside == 2:
            found["kernel"].append(process)
        for child in process.children():
            _sort(child, found, deeper)


def _is_server(line: list[str]) -> bool:
    return any("server" in part and "seccomp" in part for part in line)


def strike(pid: int, kind: str, chance: random.Random) -> str:
    """Kill -9 one process of this kind; what it was, or nothing where there is none now."""
    victims = alive(pid)[kind]
    if not victims:
        return ""
    victim = chance.choice(victims)
    try:
        victim.kill()
    except psutil.Error:
        return ""
    return f"{kind} {victim.pid}"
