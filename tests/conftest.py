"""What every test shares: versions in the header, one thread, and a root that is never the real course."""

import os
import signal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

collect_ignore_glob = ["bench/*"]  # `make bench` runs those, each in a process of its own

# before anything imports torch: two spinning threads on a busy two-core machine run one step 18 times slower
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "agg")

# a shell's background job ignores Ctrl-C, and so would every command that a test interrupts
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


def together(test: str) -> str:
    """What has to stay in one process when tests run in several: a file, or what shares costly fixtures.

    Args:
        test: its node id.
    """
    path, _, name = test.partition("::")
    if path.startswith("tests/course/"):
        return f"the chapter {name.partition('[')[2]}"
    return str(Path(path).parent) if path.startswith("tests/grader/book/") else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups are ours; xdist's mark for them needs a pytest before 9."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Together(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid)

    return Together(config, log)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout. Read it, never write into it."""
    return Path(__file__).resolve().parent.parent
