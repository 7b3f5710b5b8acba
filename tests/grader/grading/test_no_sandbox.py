"""Without a sandbox that works nothing is graded, unless the teacher says so, and then it is said loudly."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import cli
from grader.execution import sandbox

from .conftest import Workshop
from .test_class_folder import contents


@pytest.fixture
def typed(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Iterator[Any]:
    """Type `course grade`: its exit code, what it printed, and what it said on stderr."""
    monkeypatch.chdir(workshop.course.root)
    workshop.submit("ann", workshop.right())

    def grade(*options: str) -> tuple[int, str, str]:
        sandbox.find_bubblewrap.cache_clear()
        try:
            cli.main(["grade", "01-tiny", *options])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield grade
    sandbox.find_bubblewrap.cache_clear()


def path_with(folder: Path, bwrap: str | None) -> str:
    """A PATH on which bubblewrap is a script, or is not there."""
    folder.mkdir()
    names = ("setpriv", "sh", "cat")
    for name in names:
        (folder / name).symlink_to(str(shutil.which(name)))
    if bwrap is not None:
        (folder / "bwrap").write_text(f"#!/bin/sh\n{bwrap}\n")
        (folder / "bwrap").chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("bwrap", "words"),
    [
        (None, "there is no `bwrap` on the PATH"),
        ("echo bwrap: No permissions to create new namespace >&2; exit 1", "No permissions to create new namespace"),
        ("exit 7", "exit code 7"),
        ("echo something else", "bubblewrap cannot make a sandbox here"),
    ],
)
def test_a_sandbox_that_is_missing_or_refused_stops_before_the_first_submission(
    workshop: Workshop, typed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bwrap: str | None, words: str
) -> None:
    before = contents(workshop.course.root)
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin", bwrap))
    code, out, err = typed()
    assert code == 2
    assert words in err
    assert "remedy: install it with `apt-get install bubblewrap`" in err
    assert "--no-sandbox" in err
    assert out == ""
    assert contents(workshop.course.root) == before


def test_without_a_sandbox_a_warning_comes_first_and_the_score_is_marked(workshop: Workshop, typed: Any) -> None:
    code, _, err = typed("--no-sandbox", "--workers", "1")
    assert code == 0, err
    assert err.lstrip().startswith("WARNING: there is no sandbox.")
    for consequence in ("the gradebook", "your files and keys", "the network", "marked as made without a sandbox"):
        assert consequence in err
    assert workshop.result("ann")["isolation"] == "none"


@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap")
def test_with_a_sandbox_there_is_no_warning_and_an_unsandboxed_score_is_made_anew(
    workshop: Workshop, typed: Any
) -> None:
    assert typed("--no-sandbox", "--workers", "1")[0] == 0
    code, out, err = typed("--workers", "1")
    assert code == 0, err
    assert "WARNING" not in err
    assert "unchanged" not in out
    assert workshop.result("ann")["isolation"] == "bubblewrap"


def test_options_that_contradict_each_other_are_refused(workshop: Workshop, typed: Any) -> None:
    before = contents(workshop.course.root)
    code, _, err = typed("--workers", "2", "--scheduler", "tcp://127.0.0.1:1")
    assert code == 2
    assert "--workers is for this machine, and --scheduler for others" in err
    assert contents(workshop.course.root) == before
