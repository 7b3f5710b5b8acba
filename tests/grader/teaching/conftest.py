"""Small classes for the reports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.teaching.report import ClassReport, Column, Row


@pytest.fixture
def report_of() -> Callable[..., ClassReport]:
    """A report from rows of points in columns of 2 and 3 points; None waits for a person, a row may be short."""

    def make(*rows: tuple[Any, ...], names: tuple[str, ...] = ()) -> ClassReport:
        columns = (Column("a-checks", "1.1 First", 2.0), Column("b-checks", "1.2 Second", 3.0))
        made = [
            Row(
                names[place] if names else f"s{place:03}",
                dict(zip(("a-checks", "b-checks"), points, strict=False)),
                waiting=points.count(None),
            )
            for place, points in enumerate(rows)
        ]
        return ClassReport("A chapter", columns, tuple(made))

    return make


@pytest.fixture
def folder(tmp_path: Path, one_question_to_alembic: None) -> Path:
    """An empty class folder."""
    root = tmp_path / "class"
    root.mkdir()
    return root
