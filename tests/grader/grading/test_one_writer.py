"""One command at a time writes; a lock ends with its process, however that ends."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from grader import cli
from grader.errors import EnvironmentProblem
from grader.grading.one_writer import LOCK_NAME, one_writer
from tests.grader.editing import edit

from .conftest import RIGHT, Workshop

HOLD = (
    "import sys, time; from pathlib import Path; from grader.grading.classroom import open_classroom\n"
    "from grader.grading.one_writer import one_writer\n"
    "with one_writer(open_classroom(Path(sys.argv[1]))):\n"
    "    print('writing', flush=True)\n"
    "    time.sleep(600)\n"
)


def writer(folder: Path) -> "subprocess.Popen[str]":
    """Another process that has the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def test_a_second_writer_is_refused_and_told_who_writes(workshop: Workshop) -> None:
    classroom = workshop.classroom
    with writer(workshop.folder) as other:
        try:
            with pytest.raises(EnvironmentProblem) as caught, one_writer(classroom):
                pass
            assert f"another command writes to this class folder: process {other.pid} on" in str(caught.value)
            assert "wait until it ends" in caught.value.remedy
        finally:
            other.kill()
    # what it left behind locks nothing
    assert (workshop.folder / LOCK_NAME).exists()
    with one_writer(classroom):
        pass
    assert not (workshop.folder / LOCK_NAME).exists()


def test_who_waited_for_a_file_that_was_taken_away_does_not_write_beside_the_next(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened before the owner ended, locked after it: that lock is on a file without a name."""
    import fcntl

    path = workshop.folder / LOCK_NAME
    real, locked = fcntl.flock, []

    def late(handle: int, how: int) -> None:
        if not locked:
            path.unlink()
        real(handle, how)
        locked.append(os.fstat(handle).st_ino)

    monkeypatch.setattr(fcntl, "flock", late)
    with one_writer(workshop.classroom):
        assert len(locked) == 2
        assert path.stat().st_ino == locked[1]


def alive_in_group(group: int) -> list[str]:
    """The processes of a group that still run; one that is over may wait for somebody to ask about it."""
    found = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(each.pid) == group and each.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(each.cmdline()))
    return found


@pytest.mark.slow
def test_while_a_class_is_graded_nobody_else_grades_it_and_ctrl_c_ends_it_cleanly(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    begun = workshop.course.root / "begun"
    slow = f"open({str(begun)!r}, 'w').close()\nimport time\ntime.sleep(300)\n"
    # longer than the second command may take on a busy machine
    settings = workshop.course.root / "course.toml"
    edit(settings, "cell_seconds = 10", "cell_seconds = 300")
    edit(settings, "total_seconds = 60", "total_seconds = 900")
    workshop.submit("ann", workshop.notebook(add_up=slow + RIGHT["add-up"]))
    monkeypatch.chdir(workshop.course.root)
    typed = ["grade", "01-tiny", "--no-sandbox", "--workers", "1"]
    running = subprocess.Popen(
        [sys.executable, "-m", "grader.cli", *typed],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not begun.exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    with pytest.raises(SystemExit) as end:
        cli.main(typed)
    assert end.value.code == 2
    assert f"another command writes to this class folder: process {running.pid} on" in capsys.readouterr().err

    # as a terminal does: the command and all that it started
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in said
    assert said.rstrip().endswith("stopped")
    deadline = time.monotonic() + 15
    while alive_in_group(running.pid) and time.monotonic() < deadline:
        # one that is on its way out still has its entry
        time.sleep(0.05)
    assert alive_in_group(running.pid) == []

    workshop.submit("ann", workshop.right())
    with one_writer(workshop.classroom):
        assert workshop.points() == {"ann": 3}
