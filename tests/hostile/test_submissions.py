"""The bank of hostile submissions, graded with honest neighbours: what each one gains, learns, costs and leaves.

A tenth of each kind that does not wait for its own end is tried, the same ones every time; bombs are in `test_harm.py`.
`HOSTILE=all` tries the whole bank, as `make hostile` does.
"""

import itertools
import os
import shutil
import sqlite3
from collections.abc import Iterator

import pytest

from .submissions.bank import BANK
from .submissions.classroom import NEIGHBOURS, Afternoon, faults, grade_bank, worth_of
from .submissions.entry import Entry
from .submissions.evidence import remove
from .submissions.lesson import CHAPTER
from .submissions.markup import active_in_notebook, active_parts

QUICK = sorted((entry for entry in BANK if not entry.kind.startswith("harm")), key=lambda entry: entry.kind)
KINDS = itertools.groupby(QUICK, key=lambda entry: entry.kind)
TRIED = BANK if os.environ.get("HOSTILE") == "all" else [entry for _, kind in KINDS for entry in list(kind)[::10]]

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def afternoons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Afternoon]]:
    """The one run over what is tried: exercises that need torch in one class, all others in another."""
    if not shutil.which("bwrap"):
        pytest.skip("needs bubblewrap")
    from grader.execution.workers import execute_all

    root = tmp_path_factory.mktemp("hostile")
    yield grade_bank(root, TRIED, lambda plans: execute_all(plans, workers=2), lambda graded: None)
    remove(root)


@pytest.fixture(autouse=True)
def nothing_remains() -> None:
    """In place of the fixture for single executions: here traces are looked for after the whole run."""


def class_of(afternoons: list[Afternoon], entry: Entry) -> Afternoon:
    return next(afternoon for afternoon in afternoons if entry.folder in afternoon.found)


def test_the_bank_is_large_and_its_names_are_unique() -> None:
    assert len({entry.name for entry in BANK}) == len({entry.folder for entry in BANK}) == len(BANK) >= 250


def test_the_batch_goes_on_to_its_end(afternoons: list[Afternoon]) -> None:
    assert sum(len(afternoon.found) for afternoon in afternoons) == len(TRIED)


@pytest.mark.parametrize("entry", TRIED, ids=[entry.name for entry in TRIED])
def test_nothing_is_gained_nothing_hidden_comes_out_and_it_ends_in_time(
    afternoons: list[Afternoon], entry: Entry
) -> None:
    assert faults(class_of(afternoons, entry), entry) == []


@pytest.mark.parametrize("entry", TRIED, ids=[entry.name for entry in TRIED])
def test_no_page_runs_or_fetches_anything(afternoons: list[Afternoon], entry: Entry) -> None:
    classroom = class_of(afternoons, entry).classroom
    if not entry.recorded:
        return
    page = classroom.feedback(entry.folder, CHAPTER.id) / "feedback.html"
    assert active_parts(page.read_text(encoding="utf-8")) == []
    notebook = classroom.root / "autograded" / entry.folder / CHAPTER.id / "lm-basics.ipynb"
    assert active_in_notebook(notebook) == []


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_neighbours_get_what_they_deserve(afternoons: list[Afternoon], name: str) -> None:
    for afternoon in afternoons:
        assert afternoon.neighbours[name].points == worth_of(afternoon)
        assert afternoon.neighbours[name].leaks == []


def test_nothing_is_left_on_the_machine(afternoons: list[Afternoon]) -> None:
    assert [afternoon.traces for afternoon in afternoons] == [[], []]
    assert [afternoon.visitors for afternoon in afternoons] == [0, 0]


def test_the_gradebook_can_be_written_afterwards(afternoons: list[Afternoon]) -> None:
    for afternoon in afternoons:
        path = afternoon.classroom.root / "gradebook.db"
        with sqlite3.connect(path, timeout=1, isolation_level=None) as database:
            database.execute("begin exclusive")
            assert database.execute("pragma integrity_check").fetchone() == ("ok",)
            assert database.execute("select count(*) from grade where manual_score is not null").fetchone() == (0,)
            database.execute("rollback")
