"""From the options of a command to where submissions run."""

import contextlib
from collections.abc import Iterator

import click

from grader.execution.workers import Executor

WARNING = (
    "there is no sandbox. Every submission can read and change all that you can: the gradebook, the hidden checks, "
    "the class secret, your files and keys, the network. Stop now (Ctrl-C) unless you trust all of this code. "
    "Each score will be marked as made without a sandbox."
)


@contextlib.contextmanager
def chosen_workers(workers: int | None, scheduler: str | None, *, no_sandbox: bool) -> Iterator[Executor]:
    """The executor that these options ask for, seen to work; nothing has been written by then.

    Raises:
        UsageError: for options that contradict each other.
        EnvironmentProblem: when the sandbox or the cluster cannot be used.
    """
    from grader.errors import UsageError
    from grader.execution.workers import open_workers

    if workers is not None and scheduler is not None:
        raise UsageError(
            "--workers is for this machine, and --scheduler for others",
            "leave out one of them; a cluster has as many workers as were started for it",
        )
    if no_sandbox:
        click.echo(f"{click.style('WARNING:', fg='red', bold=True)} {WARNING}", err=True)
    with open_workers(workers, not no_sandbox, scheduler, _say) as executor:
        yield executor


def _say(words: str) -> None:
    click.echo(words, err=True)
