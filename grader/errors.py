"""Every error the `course` command can end with, drawn once.

::

    CourseError                 exit code 1: something is wrong with the material
    ├── AuthoringError          a source, a hidden check or course.toml: place, problem, remedy
    └── SubmissionError         a submission that cannot be read; costs one student, never the class
    UsageError                  exit code 2: the command cannot run as asked
    ├── EnvironmentProblem      a program or a permission is missing (bubblewrap, a gradebook, a port)
    └── NoSuchChapter           a chapter that course.toml does not list
"""

from pathlib import Path


class CourseError(Exception):
    """Something is wrong, and the message says what and what to do about it."""

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  remedy: {self.remedy}" if self.remedy else self.problem


class AuthoringError(CourseError):
    """An author's mistake: `file:line: problem` and the remedy on the next line."""

    def __init__(self, path: Path | str, line: int | None, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.path = Path(path)
        self.line = line

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return f"{place}: {super().__str__()}"


class SubmissionError(CourseError):
    """A submission that cannot be read: its student gets zero and a plain message, the batch goes on."""


class UsageError(CourseError):
    """The command cannot run as asked; nothing was written."""

    exit_code = 2


class EnvironmentProblem(UsageError):
    """The machine lacks something: a program, a permission, a database that can be opened."""


class NoSuchChapter(UsageError):
    """A chapter that course.toml does not list."""
