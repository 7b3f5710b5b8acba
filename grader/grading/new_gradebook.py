"""A gradebook is made whole or not at all: nbgrader makes its tables one by one, and may be killed between two."""

from pathlib import Path

from grader.grading.ledger import few_warnings


def make_gradebook(url: str) -> None:
    """Make the gradebook that nbgrader would make, if there is none. To be called by the one writer.

    Args:
        url: a SQLAlchemy URL that `check_gradebook` has passed.

    Raises:
        SQLAlchemyError: when the database fails; it is then as it was.
    """
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        _make_file(Path(str(parsed.database)))
    else:
        _make_tables(url)


def _make_file(path: Path) -> None:
    """SQLite commits each new table by itself: made beside its place, and moved there."""
    from nbgrader.api import Gradebook

    if path.exists() and path.stat().st_size:
        return
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with few_warnings(), Gradebook(f"sqlite:///{beside}"):
        pass
    beside.replace(path)


def _make_tables(url: str) -> None:
    """Elsewhere tables are made in a transaction: all of them, and nbgrader's mark of the version, in one."""
    from nbgrader import api
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            if inspect(connection).get_table_names():
                return
            api.Base.metadata.create_all(connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            version = {"version": api.get_alembic_version()}
            connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:version)"), version)
    finally:
        engine.dispose()
