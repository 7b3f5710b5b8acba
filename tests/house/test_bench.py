"""`make bench`: a line for every peer, a failed row that costs no other, and rows that can be read without running."""

import json
import subprocess
import sys

import pytest

ROWS = """
from measure import Contenders, Finding, row

@row("counting", {"slower peer": 1.0, "faster peer": 1.0}, rounds=3)
def counting():
    return Contenders(
        {"byhand": lambda: sum(range(60_000)), "slower peer": lambda: sum(range(3_000_000)), "faster peer": int},
        {"slower peer": "fifty times the work"},
    )

@row("disagreeing", {"peer": 1.0})
def disagreeing():
    assert 1 == 2, "the outputs differ"

@row("error of rounding", {"round to nearest": 0.9})
def error():
    return Finding(0.85, goal=0.9, note="lower is better")
"""


@pytest.fixture
def measured(repository, tmp_path):
    (tmp_path / "rows_of_test.py").write_text(ROWS)
    command = [sys.executable, repository / "tests" / "bench" / "measure.py"]
    command += ["--folder", tmp_path, "--out", tmp_path / "out"]
    return tmp_path / "out", lambda *more: subprocess.run(
        [*command, *more], capture_output=True, text=True, check=False
    )


def test_a_row_that_fails_is_said_and_costs_no_other_row(measured):
    out, run = measured
    done = run()
    assert done.returncode == 1
    assert "disagreeing: failed" in done.stdout
    assert "the outputs differ" in done.stdout
    report = json.loads((out / "bench.json").read_text())
    found = {(line["job"], line["peer"]): line for line in report["lines"]}
    assert found["counting", "slower peer"]["ratio"] > 1
    assert found["counting", "slower peer"]["reached"] is True
    assert found["counting", "faster peer"]["reached"] is False
    assert found["error of rounding", "round to nearest"]["reached"] is True
    assert list(report["failed"]) == ["disagreeing"]
    assert {"date", "cpu", "torch"} <= set(report["machine"])
    table = (out / "bench.md").read_text()
    assert "| counting | slower peer |" in table
    assert "fifty times the work" in table
    assert (out / "bench.svg").read_text().lstrip().startswith("<?xml")


def test_rows_are_chosen_by_a_word_and_an_unknown_word_names_them_all(measured):
    out, run = measured
    assert run("count").returncode == 0
    assert {line["job"] for line in json.loads((out / "bench.json").read_text())["lines"]} == {"counting"}
    done = run("nothing-like-it")
    assert done.returncode == 2
    assert "error of rounding" in done.stderr


def test_every_row_of_the_course_can_be_listed_without_running_one(repository):
    program = (
        f"import sys; sys.path.insert(0, {str(repository / 'tests' / 'bench')!r}); import measure\n"
        "rows = measure.load_rows()\n"
        "assert rows and all(row.job for row in rows.values()); print(len(rows))\n"
        "assert len({row.job for row in rows.values()}) == len(rows), 'two rows have one name'"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4
