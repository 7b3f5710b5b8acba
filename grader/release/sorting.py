"""Whose file is it? The names that a learning management system gave the files of an archive, read together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from grader.errors import UsageError

MOODLE = re.compile(r"(?:.*/)?(?P<student>[^/]+?)_(?P<number>\d+)_assignsubmission_file_?/?(?:.*/)?(?P<file>[^/]+)")
CANVAS = re.compile(r"(?P<student>[^/]+?)_(?:LATE_)?(?P<number>\d+)_\d+_(?P<file>[^/]+)")
"""A Canvas archive is flat; with folders in it these digits are part of a student's own file name."""


@dataclass(frozen=True)
class Owner:
    """Who handed in a file.

    Attributes:
        student: the name for the class folder.
        number: what tells two students of one name apart, where the system gives it.
        file: the file's own name.
    """

    student: str
    number: str
    file: str


def own_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern of somebody who knows the names in an archive.

    Raises:
        UsageError: when it is no regular expression with a group named student.
    """
    example = r"for example: (?P<student>\w+)-.*"
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--pattern is no regular expression: {error}", example) from None
    if "student" not in compiled.groupindex:
        raise UsageError("--pattern has no group named student", example)
    return compiled


def owners(names: Sequence[str], pattern: re.Pattern[str] | None = None) -> dict[str, Owner | None]:
    """Who handed in each file of one archive; None where that cannot be told.

    Without a pattern, names as Moodle and as Canvas give them are understood; in any other archive the first folder
    in which the names differ is the student's.

    >>> owners(["Ada L_123_assignsubmission_file_/a.ipynb"])["Ada L_123_assignsubmission_file_/a.ipynb"]
    Owner(student='Ada L', number='123', file='a.ipynb')
    >>> owners(["all/ada/a.ipynb", "all/bob/deep/a.ipynb"])["all/bob/deep/a.ipynb"]
    Owner(student='bob', number='', file='a.ipynb')
    """
    plain = {name: name.replace("\\", "/").lstrip("/") for name in names}
    for known in (pattern,) if pattern else (MOODLE, CANVAS):
        read = {name: _by_pattern(known, text) for name, text in plain.items()}
        # one stray name does not make a Moodle archive another one
        if pattern or any(read.values()):
            return read
    depth = _depth(list(plain.values()))
    return {name: _by_folder(text, depth) for name, text in plain.items()}


def _by_pattern(pattern: re.Pattern[str], name: str) -> Owner | None:
    found = pattern.fullmatch(name)
    if not found or not (found["student"] or "").strip():
        return None
    groups = found.groupdict()
    return Owner(found["student"].strip(), groups.get("number") or "", groups.get("file") or name.rsplit("/", 1)[-1])


def _depth(names: Sequence[str]) -> int:
    """How many folders all names share that are nobody's own."""
    folders = [name.split("/")[:-1] for name in names if "/" in name]
    shared = 0
    while folders and all(len(parts) > shared and parts[shared] == folders[0][shared] for parts in folders):
        shared += 1
    if all(len(parts) == shared for parts in folders):
        return shared - 1  # one folder: it is the student's
    return shared


def _by_folder(name: str, depth: int) -> Owner | None:
    parts = name.split("/")
    if len(parts) < depth + 2 or depth < 0:
        return None
    return Owner(parts[depth], "", parts[-1])
