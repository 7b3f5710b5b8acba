"""`course doctor`: can this machine run the notebooks, grade, and publish?"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click

from grader.errors import CourseError, EnvironmentProblem

OLDEST = {"nbgrader": (0, 9, 6), "jupyter_server": (2, 20), "nbconvert": (7, 17, 1)}
"""Before these: files written outside the class folder (nbgrader), CVE-2026-44727 and CVE-2026-39378."""
INSTALL = "python -m pip install -r requirements.txt"

Check = Callable[[], str]
"""Says what it saw.

Raises:
    EnvironmentProblem: with what is missing and what to do.
"""


def nbgrader_and_friends() -> str:
    """Versions without known holes."""
    return ", ".join(f"{name} {_at_least(name, oldest)}" for name, oldest in OLDEST.items())


def alembic() -> str:
    """nbgrader runs it by its name when it makes a gradebook."""
    if shutil.which("alembic") is None:
        place = Path(sys.executable).parent
        raise EnvironmentProblem("there is no program `alembic` on the PATH", f"put the environment first: {place}")
    return "on the PATH"


def sandbox() -> str:
    """A sandbox is made, and Python starts in it."""
    from grader.execution.sandbox import find_bubblewrap

    found = find_bubblewrap()
    return "Python starts in one, " + ("made by root" if found.as_root else "made by an ordinary user")


def control_groups() -> str:
    """A group with limits is made and holds a process."""
    from grader.execution.cgroups import find

    place = find()
    if place.problem:
        raise EnvironmentProblem(
            f"{place.problem}; limits of each process and the watchdog hold alone",
            "grade as root, or in a scope of your own: systemd-run --user --scope -p Delegate=yes course grade …",
        )
    return f"version {place.version}"


def postgresql_driver() -> str:
    """Needed for gradebooks in PostgreSQL only."""
    try:
        return f"psycopg {importlib.metadata.version('psycopg')}"
    except importlib.metadata.PackageNotFoundError:
        raise EnvironmentProblem(
            "psycopg is not installed; gradebooks are SQLite files", "python -m pip install 'psycopg[binary]'"
        ) from None


def book_tool() -> str:
    """Jupyter Book 1: version 2 asks a server for its template and stops without a network."""
    version = _at_least("jupyter-book", (1,))
    if _numbers(version) >= (2,):
        raise EnvironmentProblem(f"jupyter-book {version} needs a network to build", INSTALL)
    return version


def formulas() -> str:
    """node and KaTeX, where `course book` looks for them."""
    from grader.book.katex import find_katex
    from grader.course import find_root

    return f"KaTeX in {find_katex(find_root())}"


def browser() -> str:
    """Needed by the project's own tests only."""
    found = shutil.which("chromium")
    if found is None:
        raise EnvironmentProblem(
            "no chromium; only the browser tests need it", "`make setup`, or `apt-get install chromium`"
        )
    return found


PARTS: dict[str, dict[str, Check]] = {
    "notebooks": {},
    "grading": {
        "nbgrader": nbgrader_and_friends,
        "alembic": alembic,
        "sandbox": sandbox,
        "control groups": control_groups,
        "PostgreSQL": postgresql_driver,
    },
    "publishing": {"Jupyter Book": book_tool, "formulas": formulas, "browser": browser},
}
OPTIONAL = ("control groups", "PostgreSQL", "browser")
"""What is good to have: reported, and no reason for another exit code."""


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)), metavar="[PART]...")
def doctor(parts: tuple[str, ...]) -> None:
    """Look at this machine: can it run the notebooks, grade and publish?

    PART is notebooks, grading or publishing; all three without one. Things are tried, not only looked up: a sandbox
    is made, torch multiplies, the hashes of shipped weights are compared. Beside everything that is missing stands
    what to do. ✗ must be mended and gives exit code 1; a dot is good to know.
    """
    wrong = 0
    for part in parts or PARTS:
        click.secho(part, bold=True)
        if part == "notebooks":
            wrong += not _notebooks()
        for what, check in PARTS[part].items():
            try:
                click.echo(f"✓ {what}: {check()}")
            except CourseError as error:
                wrong += what not in OPTIONAL
                click.echo(f"{'·' if what in OPTIONAL else '✗'} {what}: {error.problem}\n    → {error.remedy}")
    if wrong:
        sys.exit(1)


def _notebooks() -> bool:
    """What the course's own library says of this machine: students run the same without the grader."""
    from grader.course import find_root, load_course

    course = load_course(find_root())
    name = f"{course.settings['library']['package']}.doctor"
    if not course.has_module(name):
        click.echo(f"· the library of this course has no module {name}")
        return True
    folders = [str(course.library_root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONUTF8": "1"}
    return subprocess.run([sys.executable, "-m", name], env=environment, check=False).returncode == 0


def _at_least(name: str, oldest: tuple[int, ...]) -> str:
    wanted = ".".join(map(str, oldest))
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise EnvironmentProblem(f"{name} is not installed", INSTALL) from None
    if _numbers(version) < oldest:
        raise EnvironmentProblem(f"{name} {version} is older than {wanted}", INSTALL)
    return version


def _numbers(version: str) -> tuple[int, ...]:
    """The release part of a version, to be compared.

    >>> _numbers("7.17.1"), _numbers("2.0rc1") >= (2,)
    ((7, 17, 1), True)
    """
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[a-z+]", version)[0]))
