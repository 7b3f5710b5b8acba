"""What a submission tries against the fork server that it came from, and against those that come after it."""

from collections.abc import Callable

import pytest

from grader.execution import run
from grader.execution.pool import pool
from grader.execution.syscalls import filter_program

pytestmark = pytest.mark.sandbox

GOOD = {"double": [14, 16], "triple": [21, 24]}

ATTACK = """
import ctypes, os, resource, signal, socket
libc = ctypes.CDLL(None, use_errno=True)
done = []
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN) if number != signal.SIGALRM else None
for pid in (1, os.getppid(), 0, -1):
    for number in set(signal.Signals) - {signal.SIGALRM}:
        if pid > 0 or number not in (signal.SIGKILL, signal.SIGSTOP):
            try: os.kill(pid, number)
            except OSError: pass
for pid in (0, 1, 3, 4):
    if libc.ptrace(16, pid, 0, 0) == 0: done.append(f"ptrace {pid}")
try: resource.prlimit(1, resource.RLIMIT_CPU, (0, 0)); done.append("limits")
except OSError: pass
for name in ("mem", "environ", "fd", "cwd", "root", "maps", "exe"):
    try: os.listdir(f"/proc/1/{name}") if name == "fd" else open(f"/proc/1/{name}").read(1)
    except OSError: continue
    done.append(name)
for target in (b"/proc", b"/submission", b"/library"):
    if libc.umount2(target, 2) == 0: done.append(f"umount {target}")
if libc.mount(b"proc", b"/proc", b"proc", 0, b"") == 0: done.append("mount")
for flags in (0x10000000, 0x20000, 0x20000000, 0x40000000):
    if libc.unshare(flags) == 0: done.append(f"unshare {flags:x}")
for name in ("max_user_namespaces", "max_pid_namespaces"):
    try: open(f"/proc/sys/user/{name}", "w").write("9"); done.append(name)
    except OSError: pass
for fd in range(64):
    try: socket.socket(fileno=os.dup(fd)).send(b"{}"); done.append(f"socket {fd}")
    except OSError: pass
print(done, sorted(int(name) for name in os.listdir("/proc") if name.isdigit()))
"""


def test_the_server_is_out_of_reach(submit: Callable, shown: Callable) -> None:
    run.close()
    for forks in (2, 3):
        outcome = submit(ATTACK)
        assert outcome.notes == {}
        assert shown(outcome).strip() == "[] [1, 2]"
        assert outcome.answers == GOOD
        [(_, server)] = pool.idle
        # the same one still serves
        assert (server.alive, server.forks) == (True, forks)


LEAVE = """
import builtins, json, os, socket, subprocess, sys
json.planted = builtins.planted = sys.planted = os.environ["PLANTED"] = "x"
get_ipython().user_ns["planted"] = get_ipython().planted = "x"
os.umask(0o777); os.nice(5); os.chdir("/")
listening = socket.socket(socket.AF_UNIX); listening.bind("\\0planted"); listening.listen()
near = socket.socket(); near.bind(("127.0.0.1", 4242)); near.listen()
from multiprocessing import shared_memory
subprocess.Popen(["sleep", "31536003"], start_new_session=True)
for folder in ("/tmp", "/dev/shm", os.environ["HOME"], os.environ["IPYTHONDIR"], "."):
    try: open(f"{folder}/planted", "w").close()
    except OSError: pass
print("left")
"""
FIND = """
import builtins, json, os, socket, sys
found = [name for name, thing in {"json": json, "builtins": builtins, "sys": sys, "shell": get_ipython()}.items()
         if hasattr(thing, "planted")]
found += ["name"] if "planted" in globals() else []
found += ["environment"] if "PLANTED" in os.environ else []
for folder in ("/tmp", "/dev/shm", os.environ["HOME"], os.environ["IPYTHONDIR"], ".", "/submission"):
    found += [f"{folder}/{name}" for name in os.listdir(folder) if name == "planted"]
for family, address in ((socket.AF_UNIX, "\\0planted"), (socket.AF_INET, ("127.0.0.1", 4242))):
    try: socket.socket(family).connect(address); found.append(str(address))
    except OSError: pass
found += [pid for pid in os.listdir("/proc") if pid.isdigit() and "31536003" in open(f"/proc/{pid}/cmdline").read()]
print(found, os.umask(0o22), os.nice(0), os.getcwd())
"""


def test_nothing_stays_in_the_server_for_the_next_one(submit: Callable, shown: Callable) -> None:
    before = shown(submit(FIND))
    assert before.strip() == "[] 18 0 /submission/work"
    assert "left" in shown(submit(LEAVE))
    assert shown(submit(FIND)) == before


def test_files_beyond_their_number_are_refused_and_the_process_goes_on(
    submit: Callable, shown: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.execution.warm.MAX_FILES", 500)
    for folder in (".", "/tmp", "/dev/shm"):
        outcome = submit(f"for number in range(600): open(f'{folder}/{{number}}', 'w').close()", "print('on')")
        assert "No space left" in shown(outcome)
        assert "on" in shown(outcome, "hostile-1")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_each_listed_machine_has_a_filter_of_whole_instructions(machine: str) -> None:
    program = filter_program(machine)
    assert len(program) % 8 == 0
    assert len(program) > 300
    # every jump ends inside
    for at in range(0, len(program), 8):
        yes, no = program[at + 2], program[at + 3]
        assert at // 8 + 1 + max(yes, no) < len(program) // 8 or program[at] == 6


def test_an_unlisted_machine_has_no_filter() -> None:
    assert filter_program("vax") == b""
