"""A submission with a good exercise before the hostile cells and one after them; the bank of those cells."""

import os
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from grader import wire
from grader.course import Budget
from grader.execution.plan import Library, Outcome, Plan, PlanCell, ProbeCall
from grader.execution.run import execute
from grader.execution.watch import tree

BANK = tomllib.loads((Path(__file__).parent / "bank.toml").read_text(encoding="utf-8"))
SMALL = Budget(
    cell_seconds=10,
    check_seconds=0.7,
    total_seconds=30,
    memory_mb=700,
    processes=32,
    files_mb=32,
    output_kb=64,
)
SERVER_ALONE = 3
"""Processes of a fork server that waits: bubblewrap, the first process of its sandbox, and itself."""
Submit = Callable[..., Outcome]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`@pytest.mark.bank("heading")` runs a test for each entry under that heading, as `hostile`."""
    for mark in metafunc.definition.iter_markers("bank"):
        entries = BANK[mark.args[0]]
        metafunc.parametrize("hostile", entries.values(), ids=list(entries))
    if "submit" in metafunc.fixturenames and metafunc.definition.get_closest_marker("also_cold"):
        metafunc.parametrize("start", ["warm", "cold"], indirect=True)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "bank(heading): run for each entry under the heading of bank.toml")
    config.addinivalue_line("markers", "also_cold: run for processes that start warm and for those that start cold")


def good_answer(name: str, factor: int) -> PlanCell:
    return PlanCell(name, f"def {name}(x):\n    return {factor} * x", (name,), name)


def probe_of(name: str, argument: str = "inputs['x']") -> ProbeCall:
    source = f"def probe(student, inputs):\n    return student.{name}({argument})"
    return ProbeCall(name, (name,), source, (wire.encode({"x": 7}), wire.encode({"x": 8})))


@pytest.fixture(autouse=True)
def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How submissions start: warm unless the test says otherwise."""
    which = str(getattr(request, "param", "warm"))
    if which == "cold":
        monkeypatch.setattr("grader.execution.starting.TRIES", 0)
    return which


@pytest.fixture
def submit(request: pytest.FixtureRequest, start: str) -> Submit:
    """Execute `double`, then the hostile cells, then `triple`; probe both. Keywords change the budget.

    Cells of the bank have little time, for many of them would use any.
    """
    if not shutil.which("bwrap"):
        pytest.skip("needs bubblewrap")
    usual = replace(SMALL, cell_seconds=0.7) if request.node.get_closest_marker("bank") else SMALL

    def run(*sources: str, library: dict[str, bytes] | None = None, **budget: float) -> Outcome:
        hostile = tuple(PlanCell(f"hostile-{number}", source) for number, source in enumerate(sources))
        cells = (good_answer("double", 2), *hostile, good_answer("triple", 3))
        probes = (probe_of("double"), probe_of("triple"))
        files = tuple((library or {}).items())
        outcome = execute(Plan("hostile", cells, probes, Library(files), replace(usual, **budget)))
        assert (outcome.start, outcome.remark) == (start, "")
        return outcome

    return run


@pytest.fixture
def answer_with() -> Submit:
    """Execute a cell that defines a hostile `answer`, then `triple`; probe both."""
    if not shutil.which("bwrap"):
        pytest.skip("needs bubblewrap")

    def run(source: str) -> Outcome:
        limits = replace(SMALL, cell_seconds=10)
        cells = (PlanCell("answer", source, ("answer",), "answer"), good_answer("triple", 3))
        return execute(Plan("answer", cells, (probe_of("answer", ""), probe_of("triple")), Library(), limits))

    return run


@pytest.fixture(autouse=True)
def nothing_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No submission leaves a process or a file behind; all that stays are fork servers, and the libraries."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("grader.execution.shelf.PARENT", str(tmp_path.parent))
    yield
    assert list(tmp_path.iterdir()) == []
    until = time.monotonic() + 10
    while too_many := [pids for pids in sandboxes() if len(pids) > SERVER_ALONE]:
        assert time.monotonic() < until, too_many
        time.sleep(0.01)


def sandboxes() -> list[list[int]]:
    """The processes of each sandbox that this process has started."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [tree(int(pid)) for pid in children if "bwrap" in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.fixture
def shown() -> Callable[..., str]:
    """All that a cell showed, as one text."""

    def text_of(outcome: Outcome, cell: str = "hostile-0") -> str:
        parts = []
        for item in outcome.outputs.get(cell, []):
            parts += [item.get("text", ""), item.get("evalue", ""), *item.get("data", {}).values()]
        return "\n".join(parts)

    return text_of
