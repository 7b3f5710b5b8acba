"""What every test shares: versions in the header, one thread, and a root that is never the real course."""

import os
from importlib.metadata import version
from pathlib import Path

import pytest

collect_ignore_glob = ["bench/*"]  # `make bench` runs those, each in a process of its own

# before anything imports torch: two spinning threads on a busy two-core machine run one step 18 times slower
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "agg")

SHOWN = [
    "torch",
    "numpy",
    "nbgrader",
    "nbclient",
    "jupytext",
    "jupyter-book",
    "tokenizers",
    "SQLAlchemy",
    "distributed",
]


def pytest_report_header() -> str:
    """The versions that matter when a test fails elsewhere."""
    return "course: " + ", ".join(f"{name} {version(name)}" for name in SHOWN)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what has to stay in one process when tests run in several: a file, or what shares costly fixtures."""
    for item in items:
        where = item.path.relative_to(item.config.rootpath)
        callspec = getattr(item, "callspec", None)
        room = callspec and callspec.params.get("room")
        together = where.parent if where.parts[:3] == ("tests", "grader", "book") else where
        item.add_marker(pytest.mark.xdist_group(f"{where.parent} {room}" if room else str(together)))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout. Read it, never write into it."""
    return Path(__file__).resolve().parent.parent
