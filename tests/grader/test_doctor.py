"""`course doctor`: what is missing is named with its remedy, and what is optional costs no exit code."""

import importlib.metadata
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from grader import doctor
from grader.errors import EnvironmentProblem

MINI = Path(__file__).parent / "fixtures" / "mini"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COURSE_ROOT", str(MINI))
    return lambda *words: CliRunner().invoke(doctor.doctor, words)


def pretend(monkeypatch, **versions):
    real = importlib.metadata.version

    def version(name):
        if versions.get(name, "") is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


@pytest.mark.sandbox
def test_this_machine_can_grade_and_publish(run):
    answer = run("grading", "publishing")
    assert answer.exit_code == 0, answer.output
    assert "✓ sandbox: Python starts in one" in answer.output
    assert "✓ formulas" in answer.output


def test_a_missing_sandbox_is_said_with_the_remedy(run, monkeypatch):
    def missing():
        raise EnvironmentProblem("there is no `bwrap` on the PATH", "apt-get install bubblewrap")

    monkeypatch.setitem(doctor.PARTS["grading"], "sandbox", missing)
    answer = run("grading")
    assert answer.exit_code == 1
    assert "✗ sandbox: there is no `bwrap` on the PATH\n    → apt-get install bubblewrap" in answer.output


def test_what_is_optional_is_reported_and_costs_nothing(run, monkeypatch):
    pretend(monkeypatch, psycopg=None)
    answer = run("grading")
    assert answer.exit_code == 0
    assert "· PostgreSQL: psycopg is not installed" in answer.output


@pytest.mark.parametrize(
    ("package", "version", "words"),
    [
        ("nbgrader", "0.9.5", "nbgrader 0.9.5 is older than 0.9.6"),
        ("jupyter_server", "2.19.1", "jupyter_server 2.19.1 is older than 2.20"),
        ("nbconvert", None, "nbconvert is not installed"),
        ("jupyter-book", "2.1.7", "jupyter-book 2.1.7 needs a network"),
    ],
)
def test_versions_that_will_not_do_are_refused(package, version, words, run, monkeypatch):
    pretend(monkeypatch, **{package: version})
    answer = run("grading", "publishing")
    assert answer.exit_code == 1
    assert words in answer.output


def test_programs_that_are_missing_are_named(run, monkeypatch):
    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name in ("node", "alembic") else real(name))
    answer = run("grading", "publishing")
    assert answer.exit_code == 1
    assert "✗ alembic" in answer.output
    assert "✗ formulas: the book's formulas need node" in answer.output


def test_a_course_whose_library_cannot_look_says_so(run):
    answer = run("notebooks")
    assert answer.exit_code == 0
    assert "the library of this course has no module tinylib.doctor" in answer.output


def test_an_unknown_part_is_refused(run):
    assert run("mowing").exit_code == 2
