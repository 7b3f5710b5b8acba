"""The promises of `execute` to those who grade: order, captures, seeds, notes, limits, trouble."""

import shutil
import subprocess
from pathlib import Path

import pytest

from grader import wire
from grader.course import Budget
from grader.errors import EnvironmentProblem
from grader.execution import sandbox
from grader.execution.plan import Library, Outcome, Plan, PlanCell, ProbeCall
from grader.execution.run import execute
from grader.hidden import Raised

ISOLATED = shutil.which("bwrap") is not None


def run(
    *cells: PlanCell,
    probes: tuple[ProbeCall, ...] = (),
    seed: int = 0,
    isolated: bool = ISOLATED,
    **budget: float,
) -> Outcome:
    library = (("tools/__init__.py", b""), ("tools/one.py", b"number = 1"))
    limits = Budget(**{"cell_seconds": 5, "check_seconds": 1, "total_seconds": 30, **budget})
    return execute(Plan("plan", cells, probes, Library(library), limits, seed), isolated)


def probe(exercise: str, body: str, *inputs: object, uses: tuple[str, ...] | None = None) -> ProbeCall:
    source = f"def probe(student, inputs):\n    {body}"
    return ProbeCall(exercise, uses or (exercise,), source, tuple(map(wire.encode, inputs or (None,))))


def test_a_name_is_probed_as_it_was_after_its_cell() -> None:
    outcome = run(
        PlanCell("a", "def f(): return 'first'"),
        PlanCell("a-checks", "f()", ("f",), "f"),
        PlanCell("b", "def f(): return 'second'\ng = f"),
        probes=(
            probe("f", "return student.f()"),
            probe("g", "return [student.g(), student.f()]", uses=("g", "f")),
        ),
    )
    assert outcome.answers == {"f": ["first"], "g": [["second", "second"]]}


def test_a_missing_name_is_named() -> None:
    outcome = run(PlanCell("a", "x = 1"), probes=(probe("softmax", "return student.softmax()"),))
    assert outcome.answers == {"softmax": [Raised("NameError", "the name `softmax` is not defined")]}


def test_every_case_is_answered_on_its_own() -> None:
    outcome = run(PlanCell("a", "def f(x): return 10 / x"), probes=(probe("f", "return student.f(inputs)", 1, 0, 5),))
    assert outcome.answers == {"f": [10.0, Raised("ZeroDivisionError", "division by zero"), 2.0]}


def test_the_library_slice_can_be_imported_and_the_rest_of_an_editable_install_cannot() -> None:
    for isolated in {ISOLATED, False}:
        outcome = run(
            PlanCell("a", "from tools.one import number; number"),
            PlanCell("b", "import grader"),
            PlanCell("c", "import byhand"),
            isolated=isolated,
        )
        assert outcome.outputs["a"][0]["data"] == {"text/plain": "1"}
        assert outcome.outputs["b"][0]["ename"] == "ModuleNotFoundError"
        assert outcome.outputs["c"][0]["ename"] == "ModuleNotFoundError"


def test_random_numbers_depend_on_the_seed_alone() -> None:
    cell = PlanCell("a", "import random, numpy as np\nprint(random.random(), np.random.rand(), hash('x'))")
    first, again, other = run(cell, seed=1), run(cell, seed=1), run(cell, seed=2)
    assert first.outputs == again.outputs != other.outputs


def test_every_case_starts_from_the_same_random_state() -> None:
    cell = PlanCell("a", "import random\ndef f(): return random.random()")
    [[one, two]] = run(cell, probes=(probe("f", "return student.f()", 1, 2),)).answers.values()
    assert one == two


def test_a_slow_case_costs_itself_and_those_after_it_and_no_other_exercise() -> None:
    cells = PlanCell("a", "import time\ndef f(x): time.sleep(x); return x\ndef g(): return 'fine'")
    probes = (probe("f", "return student.f(inputs)", 0, 60, 0), probe("g", "return student.g()"))
    words = "the check ran longer than 1 s"
    assert run(cells, probes=probes).answers == {
        "f": [0, Raised("TimeLimit", words), Raised("TimeLimit", words)],
        "g": ["fine"],
    }


def test_a_crash_in_a_probe_keeps_the_answers_before_it_and_is_noted() -> None:
    cells = PlanCell("a", "import os\ndef f(x): return x if x else os._exit(5)\ndef g(): return 'fine'")
    probes = (probe("f", "return student.f(inputs)", 1, 0, 1), probe("g", "return student.g()"))
    outcome = run(cells, probes=probes)
    words = "the check of f ended the process with exit code 5"
    assert outcome.answers == {"f": [1, Raised("Stopped", words)], "g": ["fine"]}
    assert outcome.notes == {"f": words}


def test_outputs_seen_before_a_crash_stay_as_they_were() -> None:
    now = "import os, time; time.monotonic()"
    outcome = run(PlanCell("a", now), PlanCell("b", "time.sleep(1); os._exit(1)"), PlanCell("c", now))
    [first], [last] = outcome.outputs["a"], outcome.outputs["c"]
    # the second start ran both within milliseconds, so the value of the first start is shown
    assert float(last["data"]["text/plain"]) - float(first["data"]["text/plain"]) >= 1
    assert outcome.notes == {"b": "cell b ended the process with exit code 1"}


def test_output_is_cut_with_a_note_and_the_cell_goes_on() -> None:
    outcome = run(
        PlanCell("a", "for _ in range(1000): print('x' * 100)\nkept = 1"),
        PlanCell("b", "print(kept)"),
        output_kb=8,
    )
    text = outcome.outputs["a"][0]["text"]
    assert len(text) < 9000
    assert text.endswith("[output cut here: this submission printed more than 8,192 bytes]\n")


def test_time_and_memory_are_measured() -> None:
    outcome = run(
        PlanCell(
            "a",
            "import time\nheld = b'x' * (100 << 20)\nend = time.process_time() + .3\n"
            "while time.process_time() < end: pass",
        )
    )
    assert outcome.peak_mb > 100
    assert outcome.cpu_seconds >= 0.3
    assert outcome.seconds > 0.3
    assert outcome.isolation == ("bubblewrap" if ISOLATED else "none")


def test_memory_beyond_the_budget_is_a_memory_error_in_that_cell() -> None:
    outcome = run(PlanCell("a", "held = bytearray(1 << 30)"), PlanCell("b", "'on'"), memory_mb=512)
    assert outcome.outputs["a"][0]["ename"] == "MemoryError"
    assert outcome.outputs["b"][0]["data"] == {"text/plain": "'on'"}


def test_memory_that_a_failed_call_held_is_there_for_the_next() -> None:
    hog = "def hog():\n    held = []\n    while True:\n        held.append(bytearray(1 << 24))\n"
    again = "try:\n    hog()\nexcept MemoryError as error:\n    raise ValueError('too much') from error"
    need = "held = bytearray(200 << 20)\n'enough'"
    outcome = run(
        PlanCell("hog", hog, ("hog",), "hog"),
        PlanCell("a", "hog()"),
        PlanCell("b", need),
        PlanCell("c", again),
        PlanCell("d", f"del held\n{need}"),
        probes=(probe("hog", "return student.hog()"), probe("b", "return len(bytearray(200 << 20))", uses=())),
        memory_mb=700,
        check_seconds=5,
    )
    shown = {name: outcome.outputs[name][0] for name in ("a", "b", "c", "d")}
    assert [shown["a"]["ename"], shown["c"]["ename"]] == ["MemoryError", "ValueError"]
    assert shown["b"]["data"] == shown["d"]["data"] == {"text/plain": "'enough'"}
    assert outcome.answers["hog"] == [Raised("MemoryError", "")]
    assert outcome.answers["b"] == [200 << 20]


def test_without_a_sandbox_nothing_remains_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    outcome = run(
        PlanCell("a", "import subprocess\nopen('x', 'w').close()\n_ = subprocess.Popen(['sleep', '31536001'])"),
        PlanCell("b", "while True: pass"),
        isolated=False,
        cell_seconds=0.5,
    )
    assert outcome.isolation == "none"
    assert outcome.notes == {"b": "cell b ran longer than 0.5 s and was stopped"}
    assert list(tmp_path.iterdir()) == []
    assert subprocess.run(["pgrep", "-f", "sleep 31536001"], capture_output=True).stdout == b""


@pytest.fixture
def fresh_search() -> None:
    sandbox.find_bubblewrap.cache_clear()
    yield
    sandbox.find_bubblewrap.cache_clear()


def test_no_bubblewrap_is_said_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_search: None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match="no `bwrap` on the PATH") as caught:
        run(PlanCell("a", "1"), isolated=True)
    assert "apt-get install bubblewrap" in caught.value.remedy
    assert "--no-sandbox" in caught.value.remedy


def test_a_bubblewrap_that_cannot_work_is_said_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_search: None
) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(EnvironmentProblem, match="No permissions to create a namespace"):
        run(PlanCell("a", "1"), isolated=True)
