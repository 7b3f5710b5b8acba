"""hidden_check, as the hidden part of a checks cell calls it under stock nbgrader."""

import sys
from typing import Any

import pytest

from grader.stock import HiddenCheckFailed, class_secret, hidden_check

from .conftest import HALF_SHARES, RIGHT, Workshop


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, workshop: Workshop) -> list[Any]:
    """What was published as the cell's value, in the miniature course."""
    values: list[Any] = []
    monkeypatch.setenv("COURSE_ROOT", str(workshop.course.root))
    monkeypatch.chdir(workshop.course.root)
    monkeypatch.setattr(sys, "displayhook", values.append)
    return values


def namespace(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"In": ["", code, "hidden_check(...)"]}
    exec(code, names)
    return names


def test_all_points_and_some_points_are_published_as_a_number(published: list[Any], capsys: Any) -> None:
    hidden_check("01-tiny", "shares", namespace(RIGHT["shares"]))
    hidden_check("01-tiny", "shares", namespace(HALF_SHARES))
    assert published == [2.0, 1.0]
    out, err = capsys.readouterr()
    assert "all zero (1): not met: weights of 0 have equal shares" in out
    assert err == ""


def test_no_point_is_an_error_with_the_words(published: list[Any]) -> None:
    with pytest.raises(HiddenCheckFailed, match="NameError: the name `shares` is not defined"):
        hidden_check("01-tiny", "shares", {})
    assert published == []


def test_what_the_students_code_prints_and_warns_stays_out_of_the_cell(
    published: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    noisy = (
        "import os, sys, warnings\n"
        "def add_up(numbers):\n"
        "    print('out'); print('err', file=sys.stderr); os.write(2, b'low'); warnings.warn('careful')\n"
        "    return float(sum(numbers))\n"
    )
    hidden_check("01-tiny", "add-up", namespace(noisy))
    out, err = capfd.readouterr()
    assert published == [1.0]
    assert out == "values (1): met\n"
    assert err == ""


def test_a_forbidden_shortcut_is_refused_here_as_well(published: list[Any], workshop: Workshop) -> None:
    from grader import stock

    hidden = workshop.chapter.hidden
    forbids = '    uses = ("add_up",)\n    forbids = {"math.fsum": "Add the numbers yourself."}\n'
    hidden.write_text(hidden.read_text().replace('    uses = ("add_up",)\n', forbids))
    stock._checks.cache_clear()
    short = "import math\ndef add_up(numbers):\n    return math.fsum(numbers)\n"
    try:
        with pytest.raises(HiddenCheckFailed, match="Add the numbers yourself"):
            hidden_check("01-tiny", "add-up", namespace(short))
    finally:
        stock._checks.cache_clear()


def test_the_class_secret_decides_the_inputs_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, workshop: Workshop
) -> None:
    workshop.submit("one", "no notebook")
    workshop.grade()
    inside = workshop.folder / "autograded" / "one" / "01-tiny"
    monkeypatch.chdir(inside)
    assert class_secret("01-tiny") == workshop.classroom.secret()
    monkeypatch.chdir(workshop.course.root)
    assert class_secret("01-tiny") == class_secret("01-tiny") != class_secret("02-other")
