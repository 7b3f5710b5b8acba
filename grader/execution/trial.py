"""The trial of a new fork server: its first fork runs a cell, and looks around whether the sandbox is closed."""

import json
import time
from typing import Any

from grader.course import Budget
from grader.errors import EnvironmentProblem
from grader.execution.box import Box, StoppedError
from grader.execution.cgroups import group
from grader.execution.syscalls import filter_program
from grader.execution.warm import Server, WarmProblem

SECONDS = 30
LIMITS = Budget(cell_seconds=SECONDS, memory_mb=4096, processes=64, files_mb=16, output_kb=64)

LOOK = """
import ctypes, json, os, socket
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
    "capabilities": sum(int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")),
    "new privileges": int(status["NoNewPrivs"]),
    "filter": int(status["Seccomp"]),
    "root": os.getuid() == 0,
    "folder": sorted(os.listdir("/submission")),
    "shared memory": os.listdir("/dev/shm"),
    "devices": [name for _, name in socket.if_nameindex()],
    "sockets": [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(path := f"/proc/self/fd/{fd}")
                and os.readlink(path).startswith("socket")],
    "another user namespace": ctypes.CDLL(None).unshare(0x10000000),
}))
"""
CLOSED = {
    "processes": [1, 2],
    "capabilities": 0,
    "new privileges": 1,
    "filter": 2 if filter_program() else 0,
    "root": False,
    "folder": ["home", "tmp", "work"],
    "shared memory": [],
    "devices": ["lo"],
    "sockets": [],
    "another user namespace": -1,
}


def try_out(server: Server) -> None:
    """Run the trial.

    Raises:
        WarmProblem: when a fork does not work, or sees or may do what it must not.
    """
    settings = {"seed": 0, "cell_seconds": SECONDS, "check_seconds": SECONDS, "output_bytes": 1 << 16, "packages": ()}
    cells = [{"index": n, "source": text, "captures": (), "exercise": None} for n, text in enumerate(("1 + 1", LOOK))]
    try:
        with (
            group(LIMITS.memory_mb, LIMITS.processes) as members,
            Box(LIMITS, server.fork(LIMITS), members) as box,
        ):
            box.start(settings, cells)
            lines = [box.receive(time.monotonic() + SECONDS, 1 << 20) for _ in cells]
        two, look = [json.loads(line[1:])["outputs"][0] for line in lines]
        seen: dict[str, Any] = json.loads(look["text"]) if "text" in look else look
    except EnvironmentProblem as error:
        raise WarmProblem(f"the trial of a fork failed: {error.problem}") from None
    except (StoppedError, ValueError, LookupError) as error:
        raise WarmProblem(f"the trial of a fork failed: it {error}") from None
    if two.get("data") != {"text/plain": "2"}:
        raise WarmProblem(f"the trial of a fork showed {str(two)[:200]} for 1 + 1")
    odd = {key: seen.get(key) for key, value in CLOSED.items() if seen.get(key) != value}
    if odd:
        raise WarmProblem(f"the sandbox of a fork is not closed: {odd}")
