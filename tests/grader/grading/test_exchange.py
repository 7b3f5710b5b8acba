"""A class that hands out and in by nbgrader's own exchange gets the scores of one that hands files in."""

import os
import pwd
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from nbgrader.api import Gradebook

from grader.cli import cli

from .conftest import HALF_SHARES, RIGHT, Workshop
from .test_nbgrader import run_nbgrader

COURSE = "tiny-numbers"


def as_student(home: Path, exchange: Path, *arguments: str) -> None:
    """Run one of nbgrader's commands in a student's folder, who has no settings but the course and the exchange."""
    programs = Path(sys.executable).parent
    options = ["--course", COURSE, f"--Exchange.root={exchange}", f"--Exchange.cache={home / 'cache'}"]
    environment = {**os.environ, "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / "none")}
    done = subprocess.run(
        [str(programs / "nbgrader"), *arguments, *options],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def answer(workshop: Workshop, path: Path, **answers: str) -> None:
    """Fill in answers in the notebook that a student has got."""
    notebook = nbformat.read(path, 4)
    for name, code in answers.items():
        workshop.cell(notebook, name.replace("_", "-")).source = code
    nbformat.write(notebook, path)


@pytest.mark.slow
def test_release_fetch_submit_collect_and_grade(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(workshop.folder)
    monkeypatch.setenv("COURSE_ROOT", str(workshop.course.root))
    prepared = CliRunner().invoke(cli, ["prepare", "01-tiny", "--class", str(workshop.folder)])
    assert prepared.exit_code == 0, prepared.output
    run_nbgrader(workshop.folder, "release_assignment", "01-tiny")
    exchange, home = workshop.folder / "exchange", tmp_path / "ada"
    home.mkdir()
    as_student(home, exchange, "fetch_assignment", "01-tiny")
    notebook = home / "01-tiny" / "tiny.ipynb"
    assert nbformat.read(notebook, 4) == workshop.student
    as_student(home, exchange, "submit", "01-tiny")
    answer(workshop, notebook, add_up=RIGHT["add-up"], shares=HALF_SHARES)
    as_student(home, exchange, "submit", "01-tiny")
    run_nbgrader(workshop.folder, "collect", "01-tiny")

    ada = pwd.getpwuid(os.getuid()).pw_name
    collected = workshop.folder / "submitted" / ada / "01-tiny"
    submitted = (collected / "timestamp.txt").read_text()
    assert (collected / "tiny.ipynb").read_bytes() == notebook.read_bytes(), "the latest is collected"
    workshop.submit("by-hand", notebook.read_bytes())
    assert workshop.points() == {ada: 2, "by-hand": 2}
    assert workshop.result(ada)["claimed"] == submitted
    with Gradebook(workshop.classroom.db_url) as gradebook:
        kept = gradebook.find_submission("01-tiny", ada).timestamp
        assert gradebook.find_submission("01-tiny", "by-hand").timestamp is None
    assert kept == datetime.strptime(submitted, "%Y-%m-%d %H:%M:%S.%f UTC")


def test_a_class_folder_can_be_prepared_twice_and_keeps_what_it_has(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_ROOT", str(workshop.course.root))
    workshop.submit("right", workshop.right())
    assert workshop.points() == {"right": 3}
    before = (workshop.classroom.secret(), workshop.classroom.config_path.read_text())
    prepared = CliRunner().invoke(cli, ["prepare", "01-tiny", "--class", str(workshop.folder)])
    assert prepared.exit_code == 0, prepared.output
    assert (workshop.classroom.secret(), workshop.classroom.config_path.read_text()) == before
    graded = workshop.grade()["right"]
    assert (graded.points, graded.skipped) == (3, True)
