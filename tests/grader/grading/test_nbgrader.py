"""nbgrader's own commands on the result: the same scores, and its export, feedback and formgrader work."""

import csv
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import HALF_SHARES, RIGHT, Workshop
from .formgrader import TOKEN, serving

NOISY = (
    "import os, sys, warnings\n"
    "def add_up(numbers):\n"
    "    warnings.warn('careful')\n"
    "    print('adding', file=sys.stderr)\n"
    "    os.write(2, b'low')\n"
    "    return float(sum(numbers))\n"
)


def run_nbgrader(folder: Path, *arguments: str) -> str:
    """Run one of nbgrader's commands in the class folder, with no settings but those that lie there."""
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder.parent),
        "JUPYTER_CONFIG_DIR": str(folder.parent / "no-config"),
        "IPYTHONDIR": str(folder.parent / "ipython"),
    }
    environment.pop("COURSE_ROOT", None)
    done = subprocess.run(
        [str(programs / "nbgrader"), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def exported(folder: Path) -> dict[str, float]:
    run_nbgrader(folder, "export", "--to=grades.csv")
    with (folder / "grades.csv").open() as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory, pristine: Any) -> Workshop:
    """A class graded by `course grade`."""
    import shutil

    from grader.course import load_course

    from .conftest import MINI

    root = tmp_path_factory.mktemp("class") / "course"
    shutil.copytree(MINI, root, ignore=shutil.ignore_patterns("build", "class", "__pycache__"))
    workshop = Workshop(load_course(root), pristine)
    workshop.submit("right", workshop.right())
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    workshop.submit("untouched", workshop.notebook())
    workshop.submit("noisy", workshop.notebook(add_up=NOISY, shares="def shares(:"))
    assert workshop.points() == {"right": 3, "half": 2, "untouched": 0, "noisy": 1}
    return workshop


def test_export_has_every_student_once(graded: Workshop) -> None:
    assert exported(graded.folder) == {"right": 3, "half": 2, "untouched": 0, "noisy": 1}


def test_nbgraders_feedback_is_made_beside_ours_and_shows_nothing_hidden(graded: Workshop) -> None:
    run_nbgrader(graded.folder, "generate_feedback", "01-tiny")
    pages = sorted((graded.folder / "feedback_nbgrader").rglob("*.html"))
    assert [page.relative_to(graded.folder).parts[1] for page in pages] == [
        "half",
        "noisy",
        "right",
        "untouched",
    ]
    half = pages[0].read_text()
    assert "equal shares" in half
    assert "hidden_check" not in half
    assert graded.page("half")


@pytest.fixture(scope="module")
def formgrader(graded: Workshop) -> Iterator[str]:
    """A Jupyter server with formgrader in the class folder; its address."""
    with serving(graded.folder) as address:
        yield address


def ask(address: str) -> str:
    with urllib.request.urlopen(f"{address}?token={TOKEN}", timeout=60) as answer:
        return answer.read().decode()


def test_formgrader_shows_the_class_as_graded(formgrader: str) -> None:
    submissions = json.loads(ask(f"{formgrader}/api/submissions/01-tiny"))
    assert {each["student"]: (each["score"], each["autograded"]) for each in submissions} == {
        "right": (3, True),
        "half": (2, True),
        "untouched": (0, True),
        "noisy": (1, True),
    }
    notebooks = json.loads(ask(f"{formgrader}/api/submitted_notebooks/01-tiny/tiny"))
    half = next(each for each in notebooks if each["student"] == "half")
    page = ask(f"{formgrader}/submissions/{half['id']}/")
    assert "equal shares" in page
    assert "hidden_check" not in page


@pytest.mark.slow
def test_stock_autograde_gives_the_same_points(graded: Workshop, formgrader: str) -> None:
    before = exported(graded.folder)
    config = graded.classroom.config_path
    stock = config.read_text().replace('ours + "SandboxedExecute"', 'theirs + "Execute"')
    config.write_text(stock.replace('[ours + "Rebuild"] + ', ""))
    log = run_nbgrader(graded.folder, "autograde", "01-tiny", "--force")
    assert exported(graded.folder) == before, log
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in graded.autograded("half").cells}
    assert "hidden_check" in cells["shares-checks"].source, "it was stock nbgrader that ran"
    assert graded.points(force=True) == before
