"""The `course` command: one table of sub-commands, each imported only when it is called."""

import importlib
import sys
from collections.abc import Sequence

import click

from grader import __version__
from grader.errors import CourseError

COMMANDS = {
    "doctor": ("grader.doctor", "Look at this machine: can it run the notebooks, grade, publish?"),
    "check": (
        "grader.authoring.commands",
        "Read the sources of the chapters and report every mistake in them.",
    ),
    "build": ("grader.authoring.commands", "Turn the sources into source notebooks and student notebooks."),
    "prove": ("grader.proving.commands", "Test the hidden checks with mistakes, alternatives and mutants."),
    "prepare": ("grader.teaching.prepare", "Make a class folder ready for nbgrader's release and collect."),
    "collect": ("grader.release.collecting", "Unpack a learning management system's zip into a class folder."),
    "grade": ("grader.teaching.grade", "Grade a chapter of a class: sandbox, gradebook, feedback."),
    "regrade": ("grader.teaching.regrade", "Show who gains and who loses by a changed check, and apply it."),
    "replay": ("grader.teaching.replay", "Make a score again from its record, case by case."),
    "report": ("grader.teaching.commands", "Show a class per exercise: table, CSV, chart."),
    "book": ("grader.book.commands", "Build the static book and search it for leaked answers."),
    "release": ("grader.release.commands", "Make the bundle that students get: folder and zip."),
    "leaks": ("grader.release.commands", "Search bundles, class folders and sites for what must stay hidden."),
    "demo": (
        "grader.demo.commands",
        "Make a small class of good, damaged and hostile submissions, and grade it.",
    ),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of a course's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that holds the command."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, so that help stays fast."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="course")
def cli() -> None:
    """Write, prove, grade and publish a course in notebooks.

    Run it anywhere inside a course (a folder with a course.toml). Every command ends with exit code 0 when all is
    well, 1 when something is wrong with the material (a stale notebook, a check that accepts a wrong answer), and 2
    when it could not run as asked (no such chapter, no bubblewrap, a gradebook that cannot be opened).
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: an error is its message and its exit code, never a trace."""
    try:
        cli.main(args=arguments, prog_name="course", standalone_mode=False)
    except CourseError as error:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
