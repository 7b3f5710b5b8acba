"""`course grade` and `course report` as they are typed."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.execution import sandbox
from grader.teaching.report import ClassReport, Column, Row, as_csv, as_table, draw_chart

from .conftest import HALF_SHARES, RIGHT, Workshop

Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, type_command: Typed) -> Typed:
    """Type a command inside the course."""
    monkeypatch.chdir(workshop.course.root)
    monkeypatch.setenv("COLUMNS", "200")
    return type_command


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.sandbox
def test_a_class_is_graded_in_the_sandbox_and_reported(workshop: Workshop, typed: Typed) -> None:
    workshop.submit("ann", workshop.right())
    workshop.submit("bob", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    workshop.submit("eve", "no notebook")
    code, text = typed("grade", "01-tiny", "--workers", "1")
    assert code == 0, text
    assert "3 of 3" in text
    assert "2 of 3" in text
    assert "not valid JSON" in text
    assert "3 submissions, mean 1.67" in text
    assert workshop.result("ann")["isolation"] == "bubblewrap"
    code, text = typed("report", "01-tiny", "--csv", "class.csv", "--chart", "class.png")
    assert code == 0, text
    assert "1.67" in text
    rows = list(csv.DictReader((workshop.course.root / "class.csv").open()))
    assert [(row["student"], row["add-up"], row["shares"], row["total"]) for row in rows] == [
        ("ann", "1", "2", "3"),
        ("bob", "1", "1", "2"),
        ("eve", "0", "0", "0"),
    ]
    assert (workshop.course.root / "class.png").read_bytes().startswith(b"\x89PNG")
    code, text = typed("report")
    assert code == 0, text
    assert "01-tiny" in text


def test_without_bubblewrap_grading_refuses_and_writes_nothing(
    workshop: Workshop, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.submit("ann", workshop.right())
    before = contents(workshop.folder)
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    sandbox.find_bubblewrap.cache_clear()
    try:
        code, text = typed("grade", "01-tiny")
    finally:
        sandbox.find_bubblewrap.cache_clear()
    assert code == 2
    assert "bubblewrap" in text
    assert "--no-sandbox" in text
    assert contents(workshop.folder) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grade", "09-nothing", "--no-sandbox"], "there is no chapter '09-nothing'"),
        (["report", "09-nothing"], "there is no chapter '09-nothing'"),
        (["grade", "01-tiny", "--no-sandbox", "--class", "nowhere"], "there is no folder"),
        (["grade", "01-tiny", "--no-sandbox"], "no notebook for 01-tiny"),
        (["grade", "01-tiny", "--no-sandbox", "--student", "zed"], "no folder of a student 'zed'"),
        (["grade", "01-tiny", "--no-sandbox", "--db", "what"], "URL cannot be read"),
        (["report", "01-tiny"], "no gradebook"),
        (["grade"], "Missing argument"),
    ],
)
def test_a_command_that_cannot_run_says_why_ends_with_2_and_writes_nothing(
    workshop: Workshop, typed: Typed, arguments: list[str], words: str
) -> None:
    (workshop.folder / "submitted" / "ann" / "01-tiny").mkdir(parents=True)
    before = contents(workshop.course.root)
    code, text = typed(*arguments)
    assert code == 2, text
    assert words in text
    assert "Traceback" not in text
    assert contents(workshop.course.root) == before


REPORT = ClassReport(
    "A chapter",
    (Column("a-checks", "1.1 First", 2), Column("b-checks", "1.2 Second", 3)),
    (
        Row("ann", {"a-checks": 2, "b-checks": 0}),
        Row("=cmd()", {"a-checks": 1, "b-checks": None}),
        Row("[red]x[/red]\x1b[2J", {}),
    ),
)


def test_means_leave_out_what_is_not_graded_yet() -> None:
    assert REPORT.mean("a-checks") == 1.5
    assert REPORT.mean("b-checks") == 0
    assert REPORT.mean_total == 1
    assert REPORT.max_points == 5


def test_names_are_no_formulas_and_no_terminal_codes() -> None:
    from rich.console import Console

    rows = list(csv.reader(io.StringIO(as_csv(REPORT))))
    assert rows[0] == ["student", "a", "b", "total", "max"]
    assert rows[2] == ["'=cmd()", "1", "", "1", "5"]
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    console.print(as_table(REPORT))
    text = console.file.getvalue()
    assert "[red]x[/red]?[2J" in text
    assert "\x1b[2J" not in text


def test_a_chart_is_drawn_as_its_name_says_and_the_same_each_time(tmp_path: Path) -> None:
    from grader.errors import UsageError

    draw_chart(REPORT, tmp_path / "new" / "class.svg")
    draw_chart(REPORT, tmp_path / "again.svg")
    first = (tmp_path / "new" / "class.svg").read_text()
    assert "<svg" in first
    assert (tmp_path / "again.svg").read_text() == first
    with pytest.raises(UsageError, match=r"cannot draw a chart into class\.txt"):
        draw_chart(REPORT, tmp_path / "class.txt")


def test_help_needs_nothing_heavy() -> None:
    import subprocess
    import sys

    program = (
        "import sys; import grader.teaching.grade; "
        "heavy = set('nbgrader torch matplotlib distributed sqlalchemy nbformat rich.progress'.split()); "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
