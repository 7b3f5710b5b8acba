"""A class graded into PostgreSQL: every score as in SQLite, nbgrader's commands work, the password is never shown."""

import csv
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from grader.errors import EnvironmentProblem
from grader.grading.classroom import open_classroom
from grader.grading.new_gradebook import make_gradebook
from grader.grading.one_writer import one_writer

from .conftest import HALF_SHARES, RIGHT, Workshop
from .test_nbgrader import run_nbgrader

Typed = Callable[..., tuple[int, str]]

PASSWORD = "p:a/s@s-word"
QUOTED = "p%3Aa%2Fs%40s-word"


def programs() -> Path | None:
    """The folder with the newest server that is installed: Debian keeps it off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("postgres")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


def other_user() -> list[str]:
    """The beginning of a command that runs as another user: the server refuses to be root."""
    if os.geteuid() != 0:
        return []
    user = next((name for name in ("postgres", "nobody") if name in {each.pw_name for each in pwd.getpwall()}), None)
    if user is None or shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no other user or no setpriv")
    return ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups", "--"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of its own with no port, only a socket in a temporary folder; that folder."""
    import psycopg

    where = programs()
    if where is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    user = other_user()
    # not below pytest's folder, which is closed to other users
    folder = Path(tempfile.mkdtemp(prefix="gradebook-"))
    (folder / "word").write_text(PASSWORD)
    for path in (folder, folder / "word"):
        path.chmod(0o755)
        if user:
            os.chown(path, pwd.getpwnam(user[1].split("=")[1]).pw_uid, -1)
    data = str(folder / "data")
    initdb = [*user, str(where / "initdb"), "-D", data, "-U", "teacher", f"--pwfile={folder / 'word'}", "-A"]
    initdb += ["scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"]
    made = subprocess.run(initdb, cwd=folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off"}
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    log = (folder / "log").open("w")
    process = subprocess.Popen([*user, str(where / "postgres"), "-D", data, *words], cwd=folder, stdout=log, stderr=log)
    try:
        while True:
            try:
                psycopg.connect(host=str(folder), user="teacher", password=PASSWORD, dbname="postgres").close()
                break
            except psycopg.OperationalError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
        yield str(folder)
    finally:
        process.terminate()
        process.wait(30)
        log.close()
        shutil.rmtree(folder)


@pytest.fixture
def db_url(server: str) -> str:
    """A new database; its URL."""
    import psycopg

    name = f"class_{uuid.uuid4().hex}"
    with psycopg.connect(
        host=server, user="teacher", password=PASSWORD, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f"create database {name}")
    return f"postgresql+psycopg://teacher:{QUOTED}@/{name}?host={server}"


def fill(workshop: Workshop) -> None:
    """A class with something of each kind."""
    workshop.submit("right", workshop.right())
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    workshop.submit("untouched", workshop.notebook())
    workshop.submit("crash", workshop.notebook(add_up="import os\nos._exit(1)", shares=RIGHT["shares"]))
    workshop.submit("Ünï ' \"cödé", workshop.right())
    workshop.submit("damaged", "no notebook")


def rows(db_url: str) -> list[tuple[Any, ...]]:
    """All that the gradebook says about anybody's cells."""
    from nbgrader.api import Gradebook

    columns = ("name", "auto_score", "manual_score", "needs_manual_grade", "max_score", "score", "cell_type")
    with Gradebook(db_url) as gradebook:
        return sorted(
            (submission.student_id, submission.score, *(getattr(grade, column) for column in columns))
            for submission in gradebook.assignment_submissions("01-tiny")
            for notebook in submission.notebooks
            for grade in notebook.grades
        )


@pytest.fixture
def typed(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, type_command: Typed) -> Typed:
    """Type a command inside the course: its exit code and what it printed, never with the password."""
    monkeypatch.chdir(workshop.course.root)
    monkeypatch.setenv("COLUMNS", "300")

    def without_password(*arguments: str) -> tuple[int, str]:
        code, text = type_command(*arguments)
        assert PASSWORD not in text
        assert QUOTED not in text
        return code, text

    return without_password


def test_a_database_gets_all_tables_and_the_mark_of_their_version_or_none(
    db_url: str, killed_while_made: Callable[[], None]
) -> None:
    def tables() -> list[str]:
        engine = create_engine(db_url)
        found = inspect(engine).get_table_names()
        engine.dispose()
        return found

    with pytest.raises(KeyboardInterrupt):
        make_gradebook(db_url)
    assert tables() == []
    killed_while_made()
    make_gradebook(db_url)
    made = tables()
    assert {"alembic_version", "submitted_assignment"} <= set(made)
    make_gradebook(db_url)
    assert tables() == made


@pytest.mark.slow
def test_every_score_is_that_of_sqlite_and_a_second_run_changes_nothing(
    workshop: Workshop, db_url: str, typed: Typed
) -> None:
    fill(workshop)
    workshop.grade()
    in_sqlite = rows(workshop.classroom.db_url)
    shutil.rmtree(workshop.folder / "feedback")
    assert len(in_sqlite) == 12
    assert {row[3] for row in in_sqlite} == {0, 1, 2}

    grade = ["grade", "01-tiny", "--no-sandbox", "--workers", "1"]
    code, text = typed(*grade, "--db", db_url)
    assert code == 0, text
    assert rows(db_url) == in_sqlite

    # the address is remembered, and the word in it is for its owner's eyes
    code, text = typed(*grade)
    assert code == 0, text
    assert text.count("unchanged") == 6
    assert open_classroom(workshop.folder).db_url == db_url
    assert rows(db_url) == in_sqlite
    assert (workshop.folder / "nbgrader_config.py").stat().st_mode & 0o077 == 0
    code, text = typed("report", "01-tiny", "--csv", "class.csv")
    assert code == 0, text
    assert "Ünï" in (workshop.course.root / "class.csv").read_text()


def test_a_teachers_points_stay_and_nbgrader_exports_them(workshop: Workshop, db_url: str) -> None:
    from nbgrader.api import Gradebook

    fill(workshop)
    classroom = open_classroom(workshop.folder, db_url)

    def grade(**options: Any) -> dict[str, float]:
        from grader.grading.grading import grade_class

        from .conftest import run_here

        graded = grade_class(workshop.course, workshop.chapter, classroom, run_here, **options)
        return {each.student: each.points for each in graded}

    points = grade()
    assert points["half"] == 2
    with Gradebook(db_url) as gradebook:
        gradebook.find_grade("shares-checks", "tiny", "01-tiny", "half").manual_score = 1.75
        gradebook.db.commit()
    assert grade(force=True) == {**points, "half": 2.75}

    log = run_nbgrader(workshop.folder, "export", "--to=grades.csv")
    assert PASSWORD not in log
    assert QUOTED not in log
    with (workshop.folder / "grades.csv").open() as file:
        exported = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert exported == {**points, "half": 2.75}


def test_two_machines_with_one_database_do_not_both_write(
    workshop: Workshop, db_url: str, typed: Typed, tmp_path: Path
) -> None:
    """Two class folders stand for two machines: all that they have in common is the database."""
    fill(workshop)
    (tmp_path / "elsewhere" / "submitted").mkdir(parents=True)
    elsewhere = open_classroom(tmp_path / "elsewhere", db_url)
    with one_writer(elsewhere):
        code, text = typed("grade", "01-tiny", "--no-sandbox", "--workers", "1", "--db", db_url)
        assert code == 2
        assert "another command writes to the gradebook postgresql+psycopg://teacher:***@" in text
        assert f"process {os.getpid()} on" in text
        assert sorted(path.name for path in workshop.folder.iterdir()) == ["submitted"]
    with one_writer(open_classroom(workshop.folder, db_url)), pytest.raises(EnvironmentProblem), one_writer(elsewhere):
        pass


def test_what_the_server_refuses_is_said_without_the_password(
    workshop: Workshop, db_url: str, server: str, typed: Typed
) -> None:
    fill(workshop)
    wrong = [
        (db_url.replace("/class_", "/no_such_class_"), "does not exist"),
        (db_url.replace("teacher:", "nobody:"), "password authentication failed"),
        (db_url.replace(f"host={server}", "host=/nowhere"), "cannot be opened"),
    ]
    for url, words in wrong:
        code, text = typed("grade", "01-tiny", "--no-sandbox", "--workers", "1", "--db", url)
        assert code == 2, text
        assert words in text
        assert "remedy" in text


@pytest.mark.slow
def test_the_guides_way_to_copy_a_gradebook_takes_along_what_a_teacher_entered(
    workshop: Workshop, db_url: str, typed: Typed, repository: Path, tmp_path: Path
) -> None:
    from nbgrader.api import Gradebook

    page = (repository / "book" / "teaching" / "gradebook.md").read_text()
    program = tmp_path / "copy_gradebook.py"
    program.write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1])

    fill(workshop)
    workshop.grade()
    in_sqlite = workshop.classroom.db_url
    with Gradebook(in_sqlite) as gradebook:
        gradebook.find_grade("shares-checks", "tiny", "01-tiny", "half").manual_score = 1.75
        gradebook.find_comment("shares", "tiny", "01-tiny", "half").manual_comment = "Almost!"
        gradebook.db.commit()
    before = rows(in_sqlite)

    copy = [sys.executable, str(program), in_sqlite, db_url]
    done = subprocess.run(copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert rows(db_url) == before
    code, text = typed("grade", "01-tiny", "--no-sandbox", "--workers", "1", "--db", db_url)
    assert code == 0, text
    assert text.count("unchanged") == 6
    assert rows(db_url) == before
    with Gradebook(db_url) as gradebook:
        assert gradebook.find_comment("shares", "tiny", "01-tiny", "half").manual_comment == "Almost!"

    # and back, over what is there
    done = subprocess.run([*copy[:2], db_url, in_sqlite], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert rows(in_sqlite) == before
