"""The bank of hostile submissions, graded as one class with honest neighbours: what each one gains and does."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .submissions.bank import BANK
from .submissions.classroom import NEIGHBOURS, Afternoon, grade
from .submissions.entry import Entry
from .submissions.lesson import points

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def afternoon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Afternoon]:
    """The one run over the whole bank."""
    if not shutil.which("bwrap"):
        pytest.skip("needs bubblewrap")
    from grader.execution.workers import execute_all

    root = tmp_path_factory.mktemp("hostile")
    yield grade(root, BANK, lambda plans: execute_all(plans, workers=2), lambda graded: None)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_remains() -> None:
    """In place of the fixture for single executions."""


def test_the_batch_goes_on_to_its_end(afternoon: Afternoon) -> None:
    assert len(afternoon.found) == len(BANK) >= 120
    assert [name for name, found in afternoon.neighbours.items() if not found.recorded] == []


@pytest.mark.parametrize("entry", BANK, ids=[entry.name for entry in BANK])
def test_nothing_is_gained_and_nothing_hidden_comes_out(afternoon: Afternoon, entry: Entry) -> None:
    found, worth = afternoon.found[entry.folder], points()
    for label, earned in found.points.items():
        assert 0 <= earned <= (worth[label] if label in entry.most else 0), f"{label} earned {earned}"
    assert found.leaks == []
    assert found.recorded == entry.recorded, found.problem
    for label in entry.least:
        assert found.points[label] == worth[label], f"{label} lost its points, which the attack must not cost"
    limit = entry.budget.get("total_seconds", 600)
    assert found.seconds <= limit * 1.1 + 3, f"ran for {found.seconds} s; its limit is {limit} s"


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_neighbours_get_what_they_deserve_and_see_nothing(afternoon: Afternoon, name: str) -> None:
    assert afternoon.neighbours[name].points == points()
    assert afternoon.neighbours[name].leaks == []


def test_nothing_is_left_on_the_machine(afternoon: Afternoon) -> None:
    assert afternoon.traces == []
    assert afternoon.visitors == 0


def test_the_gradebook_can_be_written_afterwards(afternoon: Afternoon) -> None:
    with sqlite3.connect(afternoon.classroom.root / "gradebook.db", timeout=1, isolation_level=None) as database:
        database.execute("begin exclusive")
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("select count(*) from grade where manual_score is not null").fetchone() == (0,)
        database.execute("rollback")
