"""Fork servers: what is killed from outside costs nothing, what is odd is replaced, the rest starts cold."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from grader import wire
from grader.course import Budget
from grader.errors import EnvironmentProblem
from grader.execution import cold as starts
from grader.execution import pool as pools
from grader.execution import run, sandbox, shelf, starting, trial
from grader.execution.plan import Library, Outcome, Plan, PlanCell, ProbeCall
from grader.execution.pool import pool
from grader.execution.run import execute
from grader.execution.warm import Server, WarmProblem
from grader.execution.watch import tree

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap"),
]

LIBRARY = Library((("tools/__init__.py", b"number = 1"),))
PROBE = ProbeCall("f", ("f",), "def probe(student, inputs):\n    return student.f(inputs)", (wire.encode(3),))


def plan(*sources: str, library: Library = LIBRARY, **budget: float) -> Plan:
    cells = [PlanCell(f"c{number}", source) for number, source in enumerate(sources)]
    answer = PlanCell("f", "def f(x): return x + 1", ("f",), "f")
    return Plan("plan", (answer, *cells), (PROBE,), library, replace(Budget(total_seconds=60), **budget))


def seen(outcome: Outcome) -> tuple[object, ...]:
    """What decides about points and feedback."""
    return outcome.outputs, outcome.answers, outcome.notes


@pytest.fixture(autouse=True)
def fresh_pool() -> Iterator[None]:
    run.close()
    yield
    run.close()


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "TRIES", 0)


def children() -> set[int]:
    return set(map(int, Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()))


def words_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def wait_for(condition: Callable[[], object]) -> object:
    until = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def execute_and_kill(found: Callable[[list[int]], int], kills: int = 1, spares: bool = False) -> Outcome:
    """Execute a cell that waits for a command, and kill one of the processes from the test's child down to it.

    At last the command itself is ended, which lets the cell go on. `spares` says that the kills have not done so.
    """
    marker = f"31536000.{uuid.uuid4().int % 10**12}"
    hit, done = set[int](), threading.Event()

    def hunt() -> None:
        for _ in range(kills):
            [pid, *_] = wait_for(lambda: running(marker) - hit or (done.is_set() and [0]))
            if pid:
                hit.add(pid)
                os.kill(found(ancestors(pid)), signal.SIGKILL)
        while not done.wait(0.02):
            for pid in running(marker) - (set() if spares else hit):
                os.kill(pid, signal.SIGKILL)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    try:
        return execute(plan(f"import subprocess\nsubprocess.run(['sleep', '{marker}'])\nprint('woke')"))
    finally:
        done.set()
        hunter.join()


def running(marker: str) -> set[int]:
    """Processes of this machine whose command is exactly `sleep MARKER`."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return {pid for pid in pids if words_of(pid).split("\0") == ["sleep", marker, ""]}


def ancestors(pid: int) -> list[int]:
    """From the test's child down to a process."""
    found = [pid]
    while (parent := int(Path(f"/proc/{found[0]}/stat").read_text().rpartition(")")[2].split()[1])) != os.getpid():
        found.insert(0, parent)
    return found


UNDISTURBED = (
    {"f": [], "c0": [{"output_type": "stream", "name": "stdout", "text": "woke\n"}]},
    {"f": [4]},
    {},
)
# of a warm tree: bubblewrap, the first of the server's sandbox, the server, the first of the fork's, the student's
WARM = {"bubblewrap": 0, "the server's init": 1, "the server": 2, "the fork's init": 3, "the student's process": 4}


@pytest.mark.parametrize("killed", WARM)
def test_a_process_killed_from_outside_costs_nothing(killed: str) -> None:
    outcome = execute_and_kill(lambda line: line[WARM[killed]], spares=killed == "bubblewrap")
    assert seen(outcome) == UNDISTURBED
    assert outcome.start == "warm"


def test_forks_killed_again_and_again_end_in_a_cold_start() -> None:
    outcome = execute_and_kill(lambda line: line[3], kills=run.MAX_LOST)
    assert seen(outcome) == UNDISTURBED
    assert outcome.start == "cold"
    assert outcome.remark == "started cold: forks were ended from outside"


def test_a_cold_process_killed_from_outside_costs_nothing(cold: None) -> None:
    for place in (0, -2):
        outcome = execute_and_kill(lambda line, place=place: line[place])
        assert seen(outcome) == UNDISTURBED
        assert outcome.start == "cold"


def test_what_is_killed_without_end_is_trouble_and_no_crash_of_the_student(cold: None) -> None:
    with pytest.raises(EnvironmentProblem, match="was ended from outside"):
        execute_and_kill(lambda line: line[0], kills=run.MAX_LOST + 2)


@pytest.mark.parametrize("killed", [1, 2])
def test_a_cold_process_killed_before_the_students_code_is_started_again(
    cold: None, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    boots = [starts.BOOT] + ["import os; os.kill(os.getpid(), 9)"] * killed

    def process(*arguments: object) -> starts.ColdProcess:
        monkeypatch.setattr(starts, "BOOT", boots.pop())
        return starts.ColdProcess(*arguments)

    monkeypatch.setattr(starting, "ColdProcess", process)
    assert execute(plan("1")).answers == {"f": [4]}
    assert boots == []


def test_a_student_who_kills_the_own_process_is_given_one_more_try_and_no_third() -> None:
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    outcome = execute(plan(source, "print('on')"))
    assert outcome.notes == {"c0": "cell c0 ended with SIGKILL"}
    assert outcome.answers == {"f": [4]}
    assert outcome.outputs["c1"][0]["text"] == "on\n"
    assert pool.idle[0][1].forks == 1 + 3


def test_one_server_serves_many_and_is_replaced_when_worn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MAX_FORKS", 3)
    servers = []
    for _ in range(4):
        assert execute(plan("1")).start == "warm"
        servers += [server for _, server in pool.idle]
    # the trial is a fork as well, so two submissions each; what is worn does not wait
    assert len(set(servers)) == len(servers) == 2
    assert not any(server.alive for server in servers)


def test_a_dead_server_that_waited_is_replaced_without_a_word() -> None:
    execute(plan("1"))
    [(_, server)] = pool.idle
    os.kill(tree(server._process.pid)[2], signal.SIGKILL)
    wait_for(lambda: not server.alive)
    outcome = execute(plan("1"))
    assert (outcome.start, outcome.remark) == ("warm", "")


def test_two_submissions_at_a_time_have_two_servers() -> None:
    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(execute(plan("import time; time.sleep(1)")))) for _ in "12"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.start for outcome in outcomes] == ["warm", "warm"]
    assert len(pool.idle) == 2


def test_a_module_that_starts_a_thread_or_cannot_be_imported_is_left_to_the_student() -> None:
    files = {
        "busy.py": b"import threading, time\nthreading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()",
        "broken.py": b"1 / 0",
        "fine.py": b"imported = []",
    }
    library = Library(tuple(files.items()), ("broken", "busy", "fine"))
    sources = (
        "import sys; print([name in sys.modules for name in ('broken', 'busy', 'fine')])",
        "import busy",
        "import broken",
    )
    outcome = execute(plan(*sources, library=library))
    assert outcome.start == "warm"
    assert outcome.outputs["c0"][0]["text"] == "[False, False, True]\n"
    assert outcome.outputs["c1"] == []
    assert outcome.outputs["c2"][0]["ename"] == "ZeroDivisionError"


def test_without_warm_starts_the_first_outcome_says_why_and_all_are_graded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(server: Server) -> None:
        raise WarmProblem("not today")

    monkeypatch.setattr(pools, "try_out", refuse)
    monkeypatch.setattr(pools, "MAX_FAILURES", 2)
    outcomes = [execute(plan("1")) for _ in range(2)]
    assert [outcome.start for outcome in outcomes] == ["cold", "cold"]
    assert outcomes[0].remark.startswith("started cold: no fork server comes up: not today")
    assert outcomes[1].remark == ""
    assert [seen(outcome) for outcome in outcomes] == [seen(outcomes[0])] * 2
    assert len(caplog.records) == 1
    assert all("bwrap" not in words_of(pid) for pid in children())


def test_where_the_kernel_lets_no_fork_mount_its_own_proc_the_remark_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose /proc is covered in part."""
    command = sandbox.command

    def covered(*arguments: object, **options: object) -> list[str]:
        words = command(*arguments, **options)
        if options.get("for_server"):
            at = words.index("/proc") - 1
            words[at : at + 3] = ["--proc", "/proc"]
        return words

    monkeypatch.setattr(pools, "MAX_FAILURES", 1)
    monkeypatch.setattr(sandbox, "command", covered)
    outcome = execute(plan("1"))
    assert outcome.start == "cold"
    assert "mount /proc: Operation not permitted" in outcome.remark
    assert outcome.answers == {"f": [4]}


@pytest.mark.parametrize("look", ["filter", "processes", "capabilities", "another user namespace"])
def test_a_sandbox_that_is_not_closed_is_not_used(monkeypatch: pytest.MonkeyPatch, look: str) -> None:
    monkeypatch.setitem(trial.CLOSED, look, "something else")
    assert f"the sandbox of a fork is not closed: {{'{look}'" in execute(plan("1")).remark


def test_nothing_stays_after_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "PARENT", str(tmp_path))
    before = children()
    execute(plan("1"))
    assert list(tmp_path.iterdir())
    assert children() > before
    run.close()
    assert list(tmp_path.iterdir()) == []
    assert children() <= before


def test_the_library_of_a_killed_grader_is_removed_by_the_next_and_that_of_a_living_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f"""
from grader.course import Budget
from grader.execution import shelf
from grader.execution.plan import Library, Plan
shelf.PARENT = {str(tmp_path)!r}
print(shelf.library_folder(Plan("x", (), (), Library((("a.py", b""),)), Budget())), flush=True)
input()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        folder = Path(other.stdout.readline().decode().strip())
        monkeypatch.setattr(shelf, "PARENT", str(tmp_path))
        execute(plan("1"))
        assert folder.is_dir()
        other.kill()
    run.close()
    execute(plan("1"))
    assert not folder.exists()
    assert len(list(tmp_path.iterdir())) == 1


def test_random_numbers_and_modules_are_the_same_warm_and_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library((), ("numpy.random",))
    source = (
        "import random; first = random.random()\nimport numpy.random as own\nprint(first, random.random(), own.rand())"
    )
    warm = execute(replace(plan(source, library=library), seed=7))
    monkeypatch.setattr(starting, "TRIES", 0)
    cold = execute(replace(plan(source, library=library), seed=7))
    assert (warm.start, cold.start) == ("warm", "cold")
    assert seen(warm) == seen(cold)


def test_time_is_counted_for_each_exercise() -> None:
    slow = PlanCell("slow", "import time; time.sleep(0.3)", (), "f")
    outcome = execute(replace(plan(), cells=(slow, *plan("time.sleep(0.3)").cells)))
    assert list(outcome.spent) == ["f"]
    assert 0.3 <= outcome.spent["f"] <= outcome.seconds - 0.3


def test_a_sandbox_that_shows_something_else_has_a_server_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    execute(plan("1"))
    monkeypatch.setattr(sandbox, "SETTINGS", sandbox.SETTINGS[:-1])
    execute(plan("1"))
    assert len({key for key, _ in pool.idle}) == 2


def test_without_a_sandbox_nothing_starts_warm() -> None:
    outcome = execute(plan("1"), sandbox=False)
    assert (outcome.start, outcome.remark, outcome.isolation) == ("cold", "", "none")
    assert pool.idle == []
