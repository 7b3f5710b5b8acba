"""A real scheduler and real workers that share no folder with the grader; one is killed while it runs a plan."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.authoring.notebooks import student_notebook
from grader.course import Budget, load_course
from grader.errors import EnvironmentProblem
from grader.execution import cluster, dispatch
from grader.execution.plan import Library, Outcome, Plan, PlanCell
from grader.execution.workers import Executor, execute_all, open_workers

from ..grading.conftest import HALF_SHARES, MINI, RIGHT, Workshop  # noqa: TID252

ISOLATED = shutil.which("bwrap") is not None
SLOW = "import time\ntime.sleep(1)\n"
PLACES = {"work", "packages", "scratch"}
MAY_DIFFER = {"used", "received", "start", "remark"}
"""What a result says of the run instead of the submission: seconds and memory, the time of the file."""


class Cluster:
    """A scheduler and its workers, each a process of its own with folders of its own."""

    def __init__(self, folder: Path, covered: Path) -> None:
        self.folder = folder
        self.covered = covered
        self.processes: list[subprocess.Popen[str]] = []
        self.start_scheduler()

    def start_scheduler(self, port: str = "0") -> None:
        command = ["--host", "127.0.0.1", "--port", port, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        self.scheduler = self._start("scheduler", [sys.executable, "-m", "distributed.cli.dask_scheduler", *command])
        self.address = self._said(self.scheduler, r"Scheduler at: +(tcp://\S+)")

    def worker(
        self,
        name: str,
        threads: int = 1,
        change: Callable[[Path], None] = lambda grader: None,
        **environment: str,
    ) -> str:
        """Start a worker with its own copy of the grader, changed; its address."""
        packages = self.folder / name / "packages"
        shutil.copytree(
            Path(cluster.__file__).parents[1], packages / "grader", ignore=shutil.ignore_patterns("__pycache__")
        )
        change(packages / "grader")
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--no-dashboard", "--no-nanny"]
        command += ["--nthreads", str(threads), "--local-directory", str(self.folder / name / "scratch")]
        environment["PYTHONPATH"] = str(packages)
        process = self._start(name, [*covering(self.covered), *command], **environment)
        return self._said(process, r"Start worker at: +(tcp://\S+)")

    def _start(self, name: str, command: list[str], **environment: str) -> subprocess.Popen[str]:
        for place in PLACES:
            (self.folder / name / place).mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            command,
            cwd=self.folder / name / "work",
            env={**os.environ, **environment, "TMPDIR": str(self.folder / name / "scratch")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    @staticmethod
    def _said(process: subprocess.Popen[str], pattern: str) -> str:
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if found := re.search(pattern, line):
                # read on, or the process would wait once the pipe is full
                subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
                return found[1]
        raise AssertionError(f"it ended:\n{seen}")

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def covering(folder: Path) -> list[str]:
    """The beginning of a command that does not see what is in `folder`, where this user may do that."""
    words = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0 or subprocess.run([*words, "true"], capture_output=True).returncode != 0:
        return []
    return [*words, "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(folder)]


@pytest.fixture
def new_cluster(tmp_path: Path) -> Iterator[Callable[[], Cluster]]:
    with contextlib.ExitStack() as stack:

        def start() -> Cluster:
            (tmp_path / "course").mkdir(exist_ok=True)
            return stack.enter_context(contextlib.closing(Cluster(tmp_path / "cluster", tmp_path / "course")))

        yield start


def plan(number: int, source: str | None = None) -> Plan:
    library = Library((("shelf.py", b"here = 'on the shelf'\n"),))
    source = source or f"import shelf; print({number}, shelf.here)"
    return Plan(str(number), (PlanCell("a", source),), (), library, Budget(cell_seconds=5))


def said(outcome: Outcome) -> str:
    return outcome.outputs["a"][0]["text"].strip()


def a_class(root: Path, secret: str) -> Workshop:
    """Twelve students, a third of them slow, so that a worker can be met while it runs a plan."""
    shutil.copytree(MINI, root, ignore=shutil.ignore_patterns("build", "class", "__pycache__"), dirs_exist_ok=True)
    (root / "class" / "submitted").mkdir(parents=True)
    (root / "class" / ".secret").write_text(secret)
    course = load_course(root)
    workshop = Workshop(course, student_notebook(course, course.chapters[0]))
    answers = [RIGHT["add-up"], "def add_up(numbers):\n    return 0.0\n", "import os\nos._exit(3)\n"]
    for number in range(12):
        slow = SLOW if number % 3 == 1 else ""
        shares = RIGHT["shares"] if number % 2 else HALF_SHARES
        workshop.submit(f"student{number:02}", workshop.notebook(add_up=slow + answers[number % 3], shares=shares))
    return workshop


def whole_gradebook(workshop: Workshop, students: str = "") -> list[Any]:
    """Each row of each score, and each result, of the students whose name ends so."""
    from nbgrader.api import Gradebook

    rows: list[Any] = []
    with Gradebook(workshop.classroom.db_url) as gradebook:
        for submission in gradebook.assignment_submissions("01-tiny"):
            for notebook in submission.notebooks:
                rows += [(submission.student_id, grade.name, grade.auto_score) for grade in notebook.grades]
    for path in (workshop.folder / "feedback").rglob("result.json"):
        result = json.loads(path.read_text())
        assert set(result) > MAY_DIFFER
        for exercise in result["exercises"]:
            exercise.pop("spent")
        rows.append((result["student"], {key: result[key] for key in set(result) - MAY_DIFFER}))
    return sorted((row for row in rows if row[0].endswith(students)), key=repr)


def backwards(executor: Executor) -> Executor:
    def run(plans: Iterator[Plan]) -> Iterator[tuple[int, Outcome]]:
        listed = list(plans)
        for number, outcome in executor(reversed(listed)):
            yield len(listed) - 1 - number, outcome

    return run


@pytest.mark.slow
def test_a_killed_worker_changes_nothing_and_the_gradebook_is_that_of_any_other_run(
    tmp_path: Path, new_cluster: Callable[[], Cluster]
) -> None:
    from distributed import Client

    secret = "0123456789abcdef" * 4
    disturbed = a_class(tmp_path / "course", secret)
    running = new_cluster()
    workers = {running.worker("one"), running.worker("two")}
    finished: list[str] = []
    killed: list[str] = []
    with (
        Client(running.address, set_as_default=False) as client,
        open_workers(sandbox=ISOLATED, scheduler=running.address) as executor,
    ):
        processes = client.run(os.getpid)
        if covering(tmp_path):
            assert client.run(os.listdir, str(disturbed.course.root)) == {worker: [] for worker in workers}

        def watch(graded: Any) -> None:
            finished.append(graded.student)
            busy = [worker for worker, tasks in client.call_stack().items() if "run_plan" in repr(tasks)]
            if len(finished) >= 3 and busy and not killed:
                killed.append(busy[0])
                os.kill(processes[busy[0]], signal.SIGKILL)

        graded = disturbed.grade(executor, finished=watch)
        assert set(client.nthreads()) == workers - set(killed)
    assert killed, "no worker was seen to run a plan"
    assert all(each.recorded for each in graded.values())
    assert sorted(finished) == sorted(graded) == [f"student{number:02}" for number in range(12)]

    assert {each.points for each in graded.values()} == {1, 2, 3}

    local = a_class(tmp_path / "local", secret)
    local.grade(lambda plans: execute_all(plans, workers=2, sandbox=ISOLATED))
    assert whole_gradebook(disturbed) == whole_gradebook(local)

    one_by_one = a_class(tmp_path / "one by one", secret)
    run = backwards(lambda plans: execute_all(plans, workers=0, sandbox=ISOLATED))
    one_by_one.grade(run, only=[student for student in graded if student.endswith("0")] + ["student05"])
    assert whole_gradebook(one_by_one, "0") == whole_gradebook(local, "0")
    assert whole_gradebook(one_by_one, "5") == whole_gradebook(local, "5")


@pytest.mark.slow
def test_workers_that_come_later_are_used_and_those_that_do_not_fit_are_not(
    new_cluster: Callable[[], Cluster],
) -> None:
    from distributed import Client

    running = new_cluster()
    fit = set[str]()

    def plans() -> Iterator[Plan]:
        for number in range(40):
            if number == 4:
                # of another edition, and quick to answer: it declines, and its plans go to the others
                running.worker("other", change=edited)
                fit.add(running.worker("late"))
            yield plan(number, f"import shelf, time; time.sleep(0.1); print({number}, shelf.here)")

    fit.add(running.worker("first"))
    outcomes = {}
    for number, outcome in execute_all(plans(), sandbox=ISOLATED, scheduler=running.address):
        assert number not in outcomes
        outcomes[number] = outcome
    assert {number: said(outcome) for number, outcome in outcomes.items()} == {
        number: f"{number} on the shelf" for number in range(40)
    }
    # whoever has run a plan has kept its library
    kept = "bool(__import__('sys').modules['grader.execution.tasks']._libraries)"
    with Client(running.address, set_as_default=False) as client:
        holders = {worker for worker, holds in client.run(eval, kept).items() if holds}
    assert holders == fit


def edited(grader: Path) -> None:
    """Make it another edition."""
    with (grader / "wire.py").open("a") as file:
        file.write("# changed\n")


def refusal(address: str) -> str:
    """What is said before the first plan is even looked at."""

    def never() -> Iterator[Plan]:
        raise AssertionError("a plan was drawn")
        yield

    with pytest.raises(EnvironmentProblem) as caught, open_workers(sandbox=ISOLATED, scheduler=address) as executor:
        list(executor(never()))
    assert caught.value.remedy
    return str(caught.value)


def test_a_cluster_that_cannot_be_used_is_refused_before_the_first_plan(
    new_cluster: Callable[[], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hurried:
        hurried.setattr(cluster, "CONNECT_SECONDS", 2)
        assert "tcp://127.0.0.1:1 does not answer" in refusal("tcp://127.0.0.1:1")
        assert "does not answer" in refusal("no address at all")
        assert "asks for a certificate, and there is none" in refusal("tls://127.0.0.1:1")

    monkeypatch.setattr(cluster, "WORKERS_SECONDS", 1)
    running = new_cluster()
    assert f"{running.address} has no workers, and none came in 1 s" in refusal(running.address)

    address = running.worker("busy", threads=2)
    text = refusal(running.address)
    assert f"the worker {address} cannot be used: it runs 2 tasks in one process" in text
    assert "--nthreads 1" in text


def test_a_worker_with_another_edition_or_without_a_sandbox_is_named(
    tmp_path: Path, new_cluster: Callable[[], Cluster]
) -> None:
    running = new_cluster()
    other = running.worker("other", change=edited)
    text = refusal(running.address)
    assert f"the worker {other} cannot be used: it has grader 0.1.0/" in text
    assert "requirements.txt" in text

    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "bwrap").write_text("#!/bin/sh\necho no namespaces for you >&2\nexit 1\n")
    (broken / "bwrap").chmod(0o755)
    running = new_cluster()
    address = running.worker("bare", PATH=f"{broken}:{os.environ['PATH']}")
    if ISOLATED:
        text = refusal(running.address)
        assert f"the worker {address} cannot be used: bubblewrap cannot make a sandbox here: no namespaces" in text


def test_a_worker_with_another_python_or_package_does_not_fit() -> None:
    from grader.execution import tasks

    class Worker:
        address = "tcp://there:1"

        class state:  # noqa: N801
            nthreads = 1

    here = tasks.traits(["numpy.linalg", "json"])
    assert set(here) == {"Python", "grader", "distributed", "ipython", "numpy"}
    assert tasks.unfit(here, False, Worker) is None
    declined = tasks.unfit({**here, "Python": "3.7", "torch-of-elsewhere": "1.0"}, False, Worker)
    assert declined is not None
    assert f"it has Python {here['Python']} instead of 3.7, torch-of-elsewhere missing instead of 1.0" in str(declined)


@pytest.mark.slow
def test_a_scheduler_that_comes_back_is_found_again_and_one_that_does_not_ends_the_run(
    new_cluster: Callable[[], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = new_cluster()
    running.worker("one")
    done: list[int] = []

    def grade() -> None:
        plans = (plan(number) for number in range(50))
        for number, outcome in execute_all(plans, sandbox=ISOLATED, scheduler=running.address):
            assert said(outcome) == f"{number} on the shelf"
            done.append(number)
            if len(done) == 2:
                running.scheduler.kill()
                running.scheduler.wait()
                running.start_scheduler(running.address.rsplit(":")[-1])
                running.worker("two")
            if len(done) == 8:
                monkeypatch.setattr(dispatch, "RECONNECT_SECONDS", 0.5)
                running.scheduler.kill()

    with pytest.raises(EnvironmentProblem, match="connection to the scheduler was lost") as caught:
        grade()
    assert len(done) == len(set(done)) >= 8
    assert "what is recorded stays" in caught.value.remedy
