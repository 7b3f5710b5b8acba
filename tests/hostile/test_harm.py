"""What a submission tries against the machine and its neighbours costs it alone, and ends in time."""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.sandbox

GOOD = {"double": [14, 16], "triple": [21, 24]}


@pytest.mark.also_cold
@pytest.mark.bank("ends or blocks its process: costs that cell alone")
def test_a_cell_that_ends_or_blocks_its_process_costs_itself_alone(submit: Callable, hostile: str) -> None:
    outcome = submit(hostile)
    assert outcome.answers == GOOD
    assert list(outcome.notes) == ["hostile-0"]
    assert outcome.outputs["hostile-0"] == []


@pytest.mark.bank("waits: is stopped and the rest is graded")
def test_what_waits_is_stopped(submit: Callable, hostile: str) -> None:
    assert submit(hostile).answers == GOOD


@pytest.mark.bank("bomb: ends within its limits and the rest is graded")
def test_a_bomb_ends_within_its_limits_and_the_rest_is_graded(submit: Callable, hostile: str) -> None:
    outcome = submit(hostile)
    assert outcome.answers == GOOD
    assert outcome.peak_mb < 1500
    assert len(str(outcome.outputs)) < 4 * (64 << 10)


@pytest.mark.also_cold
@pytest.mark.parametrize("number", [1, -1, "os.getppid()"])
def test_signals_reach_nobody_outside(submit: Callable, number: int | str) -> None:
    outcome = submit(
        f"""
import os, signal
if os.fork() == 0:
    os.kill({number}, signal.SIGKILL)
    os._exit(0)
os.wait()
"""
    )
    assert outcome.answers == GOOD


@pytest.mark.also_cold
def test_an_endless_loop_is_interrupted_and_the_names_stay(submit: Callable, shown: Callable) -> None:
    outcome = submit("kept = 1\nwhile True: pass", "print(kept)", cell_seconds=0.7)
    assert outcome.notes == {"hostile-0": "cell hostile-0 ran longer than 0.7 s and was stopped"}
    assert shown(outcome, "hostile-1").strip() == "1"
    assert "inside" not in str(outcome.outputs["hostile-0"])
    assert outcome.answers == GOOD


@pytest.mark.also_cold
def test_a_memory_bomb_of_many_processes_is_named(submit: Callable) -> None:
    fork = "import os, time\nfor _ in range(8):\n  if os.fork() == 0: break\n"
    outcome = submit(fork + "held = b'x' * (150 << 20)\ntime.sleep(60)", cell_seconds=20)
    assert outcome.notes == {"hostile-0": "cell hostile-0 used more than 700 MB of memory and was stopped"}


def test_loops_in_every_cell_end_with_the_time_of_the_submission(submit: Callable) -> None:
    loop = "import signal; signal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass"
    outcome = submit(*[loop] * 10, cell_seconds=0.7, total_seconds=5)
    assert outcome.seconds < 8
    assert any("had used its 5 s" in note for note in outcome.notes.values())


@pytest.mark.also_cold
def test_a_child_that_comes_back_from_its_cell_does_not_speak_for_its_parent(submit: Callable) -> None:
    outcome = submit("import os\nos.fork()\nprint('x')", "1 + 1", cell_seconds=5)
    assert outcome.answers == GOOD
    assert outcome.notes == {}


def test_a_killed_grader_takes_its_sandbox_along(repository: Path) -> None:
    marker = f"31536000.{uuid.uuid4().int % 10**12}"
    program = f"""
from grader.course import Budget
from grader.execution.plan import Library, Plan, PlanCell
from grader.execution.run import execute
execute(Plan("x", (PlanCell("a", "!sleep {marker}"),), (), Library(), Budget()))
"""
    grader = subprocess.Popen([sys.executable, "-c", program], cwd=repository)
    assert wait_until(lambda: running(marker))
    grader.kill()
    grader.wait()
    assert wait_until(lambda: not running(marker))


def wait_until(condition: Callable[[], object]) -> bool:
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.also_cold
def test_a_daemon_does_not_outlive_its_submission(submit: Callable, shown: Callable) -> None:
    marker = f"31536000.{uuid.uuid4().int % 10**12}"
    source = f"""
import os, subprocess, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("setsid", ["setsid", "sleep", "{marker}"])
    os._exit(0)
os.wait(); time.sleep(.3)
pids = [name for name in os.listdir("/proc") if name.isdigit()]
print(sum("{marker}" in open(f"/proc/{{pid}}/cmdline").read() for pid in pids))
"""
    outcome = submit(source, cell_seconds=5)
    assert shown(outcome).strip() == "1"
    assert outcome.answers == GOOD
    assert not running(marker)


def running(marker: str) -> list[Path]:
    """Processes of this machine whose command is exactly `sleep MARKER`."""
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if command_of(path) == ["sleep", marker, ""]]


def command_of(path: Path) -> list[str]:
    try:
        return path.read_text().split("\0")
    except OSError:
        return []
