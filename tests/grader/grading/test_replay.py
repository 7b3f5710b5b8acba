"""A score is made again from its record, or the reason why not is said."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from nbgrader.api import Gradebook

from grader.cli import cli
from grader.errors import CourseError, UsageError
from grader.execution.run import execute
from grader.grading.replaying import Replay, replay
from grader.teaching.replay import in_lines, shown
from tests.grader.editing import edit

from .conftest import HALF_SHARES, RIGHT, Workshop
from .test_resuming import record_path

run_it = partial(execute, sandbox=False)


@pytest.fixture
def graded(workshop: Workshop) -> Workshop:
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    workshop.grade()
    return workshop


def again(workshop: Workshop, only: str | None = None, execute: Any = None) -> Replay:
    return replay(workshop.course, workshop.chapter, workshop.classroom, "half", only, execute)


def test_a_score_is_made_again_from_its_record(graded: Workshop) -> None:
    found = again(graded)
    assert found.reproduced
    assert not found.changed
    assert not found.remarks
    assert [(each.stored, each.held, each.result.points) for each in found.exercises] == [(1, 1, 1), (1, 1, 1)]
    lines = "\n".join(in_lines(found))
    assert "made again. 1 in the result; 1 in the gradebook; 1 from the stored answers." in lines
    assert "✗ all zero (1): weights of 0 have equal shares" in lines
    assert "weights = [0, 0, 0, 0, 0]" in lines
    assert "answer: [0, 0, 0, 0, 0]" in lines
    assert "numbers" not in lines, "cases that were answered rightly are left out"
    assert "numbers" in "\n".join(in_lines(found, all_cases=True))
    assert graded.classroom.secret() not in lines


def test_executing_again_gives_the_same_answers(graded: Workshop) -> None:
    found = again(graded, "1.2", run_it)
    assert [each.label for each in found.exercises] == ["shares"]
    assert found.exercises[0].same_answers
    assert found.reproduced


def test_a_gradebook_that_holds_something_else_is_not_the_score(graded: Workshop) -> None:
    with Gradebook(graded.classroom.db_url) as gradebook:
        gradebook.find_grade("shares-checks", "tiny", "01-tiny", "half").auto_score = 2
        gradebook.db.commit()
    found = again(graded)
    assert [each.reproduced for each in found.exercises] == [True, False]
    assert "NOT made again. 1 in the result; 2 in the gradebook" in "\n".join(in_lines(found))


def test_what_has_changed_is_named(graded: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(graded.chapter.hidden, "if not total:", "if False:")
    edit(graded.chapter.hidden, 'return wrong(f"these are not', 'return right() or wrong(f"these are not')
    edit(graded.course.root / "lib" / "tinylib" / "__init__.py", '"""', '"""Changed. ')
    found = again(graded)
    assert [words.split(" changed")[0] for words in found.changed] == [
        "The hidden checks, the points or the notebook",
        "The library slice",
    ]
    assert [each.reproduced for each in found.exercises] == [True, False]


def test_another_environment_is_named_with_its_versions(graded: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    from grader.grading import earlier, keys

    newer = {**keys.installed(), "numpy": "99.0"}
    monkeypatch.setattr(earlier, "environment_key", lambda: "another")
    monkeypatch.setattr(earlier, "installed", lambda: newer)
    assert again(graded).changed == (f"The environment changed since this was graded: numpy {np.__version__} -> 99.0.",)


def test_another_submission_is_said_and_the_stored_answers_still_count(graded: Workshop) -> None:
    graded.submit("half", graded.right())
    found = again(graded, None, run_it)
    assert found.changed == ("The submission is another one than the one that was graded.",)
    assert found.reproduced
    assert "not executed" in found.remarks[0]
    (graded.folder / "submitted" / "half" / "01-tiny" / "tiny.ipynb").unlink()
    assert again(graded).changed == ("The submission is gone.",)


def test_another_secret_is_said(graded: Workshop) -> None:
    graded.classroom.secret_path.unlink()
    found = again(graded, None, run_it)
    assert any("class secret" in words for words in found.changed)
    assert [each.result for each in found.exercises] == [None, None], "its seal is not this class's"
    assert [each.fresh.points for each in found.exercises] == [1, 1], "the stored seeds draw the same cases"


def test_without_a_record_only_an_execution_can_tell(graded: Workshop) -> None:
    record_path(graded, "half").unlink()
    assert not again(graded).reproduced
    assert again(graded).remarks == ("The answers were not kept, or their record is damaged.",)
    assert again(graded, None, run_it).reproduced


def test_what_cannot_be_replayed_is_refused(graded: Workshop) -> None:
    graded.submit("broken", "{")
    graded.grade()
    with pytest.raises(UsageError, match="there is no result of nobody"):
        replay(graded.course, graded.chapter, graded.classroom, "nobody")
    with pytest.raises(UsageError, match="nothing of broken was run"):
        replay(graded.course, graded.chapter, graded.classroom, "broken")
    with pytest.raises(UsageError, match=r"no exercise '9.9'") as refused:
        again(graded, "9.9")
    assert "add-up (1.1), shares (1.2)" in refused.value.remedy


def test_the_command_ends_with_1_where_the_score_cannot_be_made_again(
    graded: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(graded.course.root)
    cli.main(["replay", "half", "01-tiny", "1.2", "--run", "--no-sandbox"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "1 executed now, the same answers" in said
    assert "1.1" not in said
    milder = "if False and not all(abs(a - b)"
    edit(graded.chapter.hidden, "if not all(abs(a - b)", milder)
    with pytest.raises(CourseError, match="hidden checks") as ended:
        cli.main(["replay", "half", "01-tiny"], standalone_mode=False)
    assert ended.value.exit_code == 1


def test_values_are_shown_short() -> None:
    value = {"logits": np.arange(1000, dtype=np.float32).reshape(10, 100), "text": "a" * 1000}
    text = shown(value)
    assert text.startswith("{'logits': array(10, 100) of float32: [[ 0. 1. 2. ... 97. 98. 99.]")
    assert len(text) <= 401
