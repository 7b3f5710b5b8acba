"""Which file of a submission's folder is the notebook to grade.

The one with the expected name, else the only one there is; among several, the only one that was worked on. Saved
with another extension or in a folder of its own it is found as well. Links are never followed.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from grader.course import Chapter, Course
from grader.errors import SubmissionError
from grader.grading.loose import read_loosely
from grader.grading.regular import read_regular
from grader.grading.skeleton import rebuild

MAX_ENTRIES = 1000
"""Files looked at in one submission's folder."""

MAX_FOLDERS = 20
"""Folders inside it that are looked into."""

MAX_READ = 6
"""Notebooks of one submission that are read in order to see which one was worked on."""

NO_NOTEBOOK = "There is no notebook"

ENDINGS = (".ipynb", ".ipynb.txt", ".ipynb.json")
"""Browsers add their own to a file that they do not know."""

WorkedOn = Callable[[bytes], bool]


def work_in(course: Course, chapter: Chapter) -> WorkedOn:
    """`worked_on` for a chapter, whose notebook is built when a submission first has several notebooks."""
    kept: list[WorkedOn] = []

    def was(data: bytes) -> bool:
        if not kept:
            from grader.authoring.notebooks import student_notebook

            kept.append(worked_on(student_notebook(course, chapter)))
        return kept[0](data)

    return was


def worked_on(skeleton: Any) -> WorkedOn:
    """A function that says whether a file is a notebook in which any answer was touched."""
    untouched = rebuild(skeleton, []).answers

    def was(data: bytes) -> bool:
        try:
            return rebuild(skeleton, read_loosely(data)[0]).answers != untouched
        except SubmissionError:
            return False

    return was


def choose_notebook(folder: Path, stem: str, worked_on: WorkedOn | None = None) -> tuple[Path, tuple[str, ...]]:
    """The notebook to grade, and what is odd about it.

    Raises:
        SubmissionError: when there is none, or when nothing tells which of several it is.
    """
    paths, links = _notebooks(folder)
    if not paths:
        paths, more = _notebooks_in_folders(folder)
        links += more
    expected = next((path for path in paths if path.name == f"{stem}.ipynb"), None)
    if len(paths) > 1 and worked_on is not None:
        others = _others_with_work(expected, paths, worked_on)
        if len(others) == 1:
            remark = f"of {len(paths)} notebooks, {shown_name(others[0].name)} was read: it holds the answers"
            return others[0], (remark,)
    if expected is not None:
        count = len(paths) - 1
        remarks = (f"{count} more notebook{'s' * (count > 1)} beside {expected.name}: not read",) if count else ()
        return expected, remarks + _place_remark(folder, expected)
    if len(paths) == 1:
        remark = f"the notebook was named {shown_name(paths[0].name)}, not {stem}.ipynb"
        return paths[0], (remark, *_place_remark(folder, paths[0]))
    if paths:
        some = ", ".join(shown_name(name) for name in sorted(path.name for path in paths)[:5])
        raise SubmissionError(f"There are {len(paths)} notebooks, and none is named {stem}.ipynb: {some}.")
    if links:
        raise SubmissionError("The notebook is a link or a device, not a file.")
    raise SubmissionError(f"{NO_NOTEBOOK} in the submission; it should be named {stem}.ipynb.")


def _others_with_work(expected: Path | None, paths: list[Path], worked_on: WorkedOn) -> list[Path]:
    """The notebooks with answers in them, where the one with the expected name has none."""
    if expected is not None and _has_work(expected, worked_on):
        return []
    first = sorted(path for path in paths if path != expected)[:MAX_READ]
    return [path for path in first if _has_work(path, worked_on)]


def _has_work(path: Path, worked_on: WorkedOn) -> bool:
    try:
        return worked_on(read_regular(path)[0])
    except SubmissionError:
        return False


def _place_remark(folder: Path, path: Path) -> tuple[str, ...]:
    return (f"the notebook lay in a folder of its own, {shown_name(path.parent.name)}",) * (path.parent != folder)


def _notebooks(folder: Path) -> tuple[list[Path], int]:
    """The notebooks in a folder, and how many are no regular files."""
    paths, links = [], 0
    for entry in _first_entries(folder):
        if not entry.name.lower().endswith(ENDINGS) or entry.name.startswith("."):
            continue
        if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            paths.append(folder / entry.name)
        else:
            links += 1
    return paths, links


def _notebooks_in_folders(folder: Path) -> tuple[list[Path], int]:
    """The same for the folders in a folder: an archive brings its own."""
    paths: list[Path] = []
    links = looked = 0
    for entry in _first_entries(folder):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith((".", "__")):
            found, more = _notebooks(folder / entry.name)
            paths += found
            links += more
            looked += 1
            if looked == MAX_FOLDERS:
                break
    return paths, links


def _first_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count >= MAX_ENTRIES:
                raise SubmissionError(f"The submission holds more than {MAX_ENTRIES:,} files.")
            yield entry


def shown_name(name: str) -> str:
    """A file's name, short and printable, for a message."""
    return re.sub(r"[^\w .()\-]", "?", name)[:60]
