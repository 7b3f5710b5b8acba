"""What tests of several parts of the grader share."""

import functools
from collections.abc import Callable, Iterator

import pytest

from grader import cli
from grader.grading.classroom import programs_on_path


@pytest.fixture(scope="session")
def one_question_to_alembic() -> Iterator[None]:
    """nbgrader starts the program alembic for each new gradebook, to be told the same version each time."""
    import nbgrader.api

    with pytest.MonkeyPatch.context() as patch:
        programs_on_path()
        patch.setattr(nbgrader.api, "get_alembic_version", functools.cache(nbgrader.api.get_alembic_version))
        yield


@pytest.fixture
def type_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Type `course …`: its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str]:
        try:
            cli.main(list(arguments))
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run
