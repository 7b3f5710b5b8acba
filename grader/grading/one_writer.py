"""One command at a time writes into a class folder and its gradebook.

Two locks, because two things can be shared: a file in the class folder, locked as long as a process holds it open, and
in a PostgreSQL database an advisory lock, for class folders on other machines that name the same database. Neither
outlives its process: what kill -9 leaves behind locks nothing.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.errors import EnvironmentProblem
from grader.grading.classroom import Classroom

LOCK_NAME = ".writing"
ADVISORY_KEY = 0x636F757273650A
"""One for each database, as any number does that no other program uses."""
REMEDY = "wait until it ends, or end it; what it has recorded stays, and the command goes on from there"


@contextlib.contextmanager
def one_writer(classroom: Classroom) -> Iterator[None]:
    """Be the only one who writes to this class while the context lasts.

    Raises:
        EnvironmentProblem: when another process writes, with its number and machine.
    """
    with _folder_lock(classroom.root / LOCK_NAME), _database_lock(classroom.db_url):
        yield


@contextlib.contextmanager
def _folder_lock(path: Path) -> Iterator[None]:
    import fcntl

    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise EnvironmentProblem(
                f"the class folder cannot be written: {error}", f"make {path.parent} a folder that you can write to"
            ) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.path.samestat(os.fstat(handle), path.stat())
        except BlockingIOError:
            owner = os.read(handle, 1000)
            os.close(handle)
            raise EnvironmentProblem(
                f"another command writes to this class folder: {_described(owner)}", REMEDY
            ) from None
        except FileNotFoundError:
            mine = False
        if mine:
            break
        # its last owner took the file away between our opening and our locking it
        os.close(handle)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(_who()).encode())
        yield
    finally:
        # while the lock is held, so that nobody else's file is taken away
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def _who() -> dict[str, Any]:
    return {"process": os.getpid(), "machine": socket.gethostname(), "since": time.strftime("%H:%M")}


def _described(owner: bytes) -> str:
    try:
        found = json.loads(owner)
        return f"process {int(found['process'])} on {str(found['machine'])[:60]!r}, since {str(found['since'])[:5]}"
    except (ValueError, KeyError, TypeError):
        return "it has only just begun"


@contextlib.contextmanager
def _database_lock(url: str) -> Iterator[None]:
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        yield
        return
    shown = parsed.render_as_string(hide_password=True)
    who = _who()
    name = f"course: process {who['process']} on {who['machine']}"[:63]
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(engine.connect())
            connection.execute(text("select set_config('application_name', :name, false)"), {"name": name})
            if not connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": ADVISORY_KEY}).scalar():
                owner = connection.execute(text(OWNER), {"key": ADVISORY_KEY}).scalar()
                raise EnvironmentProblem(
                    f"another command writes to the gradebook {shown}: {owner or 'it is just ending'}", REMEDY
                )
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise EnvironmentProblem(
                f"the gradebook {shown} cannot be locked: {reason}", "see that the database server runs"
            ) from None
        yield


OWNER = """
select a.application_name from pg_locks l join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
and ((l.classid::bigint << 32) | l.objid::bigint) = :key
and l.database = (select oid from pg_database where datname = current_database())
"""
