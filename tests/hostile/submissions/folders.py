"""Folders that hold links, devices, odd names, sizes and times in the place of one notebook."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .entry import Entry, Lesson, as_bytes
from .lesson import COURSE, ROBBED, SMALL

NAME = "lm-basics.ipynb"
FOUND: list[Entry] = []
NOTHING: dict[str, Any] = {"most": (), "least": ()}
EVERY = SMALL
"""A copy of another's work earns what the work is worth: to see that it is a copy is a matter for people."""


def folder(name: str, tries: str, **more: Any) -> Callable[[Callable[[Path, Lesson], None]], None]:
    """Register a function that fills a submission's folder."""

    def register(hand_in: Callable[[Path, Lesson], None]) -> None:
        FOUND.append(Entry(name, more.pop("kind", "folder"), tries, hand_in, **more))

    return register


def honest(lesson: Lesson) -> bytes:
    """The honest part's notebook."""
    return as_bytes(lesson.notebook())


def classroom(inner: Path) -> Path:
    """The class folder around a submission."""
    return inner.parents[2]


LINKS: dict[str, Callable[[Path], object]] = {
    "to a neighbour's notebook": lambda inner: classroom(inner) / "submitted" / ROBBED / inner.name / NAME,
    "to the gradebook": lambda inner: classroom(inner) / "gradebook.db",
    "to the class secret": lambda inner: classroom(inner) / ".secret",
    "to hidden checks": lambda inner: COURSE.root / "solutions" / inner.name / "hidden.py",
    "to the source notebook": lambda inner: classroom(inner) / "source" / inner.name / NAME,
    "to the accounts": lambda inner: "/etc/passwd",
    "to zeros without end": lambda inner: "/dev/zero",
    "to a terminal": lambda inner: "/dev/tty",
    "to the grader's memory": lambda inner: "/proc/self/mem",
    "to itself": lambda inner: NAME,
    "to nothing": lambda inner: "/nowhere/at/all.ipynb",
}
for where, target in LINKS.items():

    @folder(f"a link {where}", "The notebook is a symbolic link.", kind="folder: links", **NOTHING)
    def _(inner: Path, lesson: Lesson, target: Callable[[Path], object] = target) -> None:
        (inner / NAME).symlink_to(str(target(inner)))


@folder("a folder that is a link", "The chapter's folder is a link to a neighbour's.", kind="folder: links", **NOTHING)
def _(inner: Path, lesson: Lesson) -> None:
    inner.rmdir()
    inner.symlink_to(classroom(inner) / "submitted" / ROBBED / inner.name)


@folder("a student that is a link", "The student's folder is a link to a neighbour's.", kind="folder: links", **NOTHING)
def _(inner: Path, lesson: Lesson) -> None:
    inner.rmdir()
    inner.parent.rmdir()
    inner.parent.symlink_to(classroom(inner) / "submitted" / ROBBED)


@folder("a loop of folders", "A folder that holds itself lies beside the notebook.", kind="folder: links")
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).write_bytes(honest(lesson))
    (inner / "loop").symlink_to(".")
    (inner / "up").symlink_to("../../..")


@folder("a link in a folder", "A folder holds links to a neighbour's notebook.", kind="folder: links", **NOTHING)
def _(inner: Path, lesson: Lesson) -> None:
    (inner / "homework").mkdir()
    (inner / "homework" / NAME).symlink_to(classroom(inner) / "submitted" / ROBBED / inner.name / NAME)
    (inner / "up").symlink_to(classroom(inner) / "submitted" / ROBBED / inner.name)


@folder(
    "a hard link to a neighbour's notebook",
    "The same file under two names, as an archive can make it.",
    kind="folder: links",
    most=EVERY,
    least=EVERY,
)
def _(inner: Path, lesson: Lesson) -> None:
    os.link(classroom(inner) / "submitted" / ROBBED / inner.name / NAME, inner / NAME)


@folder("a pipe", "The notebook is a FIFO: who opens it waits without end.", kind="folder: devices", **NOTHING)
def _(inner: Path, lesson: Lesson) -> None:
    os.mkfifo(inner / NAME)


@folder("a socket", "The notebook is a socket.", kind="folder: devices", **NOTHING)
def _(inner: Path, lesson: Lesson) -> None:
    here = Path.cwd()
    os.chdir(inner)  # the path of a socket has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(NAME)
    finally:
        os.chdir(here)


@folder(
    "a device",
    "The notebook is a device of zeros (a FIFO where devices cannot be made).",
    kind="folder: devices",
    **NOTHING,
)
def _(inner: Path, lesson: Lesson) -> None:
    try:
        os.mknod(inner / NAME, 0o20666, os.makedev(1, 5))
    except PermissionError:
        os.mkfifo(inner / NAME)


@folder("pipes beside it", "FIFOs named as the timestamp and as a second notebook.", kind="folder: devices")
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).write_bytes(honest(lesson))
    for name in ("timestamp.txt", "other.ipynb", "data.csv"):
        os.mkfifo(inner / name)


@folder("a folder with the notebook's name", "The notebook is a folder that holds one.", kind="folder: names")
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).mkdir()
    (inner / NAME / NAME).write_bytes(honest(lesson))


@folder("a notebook in a folder", "The notebook lies one folder deeper.", kind="folder: names")
def _(inner: Path, lesson: Lesson) -> None:
    (inner / "homework").mkdir()
    (inner / "homework" / NAME).write_bytes(honest(lesson))


@folder("an empty file", "The notebook has no bytes.", kind="folder: size", **NOTHING)
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).touch()


@folder("an empty folder", "There is no notebook.", kind="folder: size", **NOTHING)
def _(inner: Path, lesson: Lesson) -> None:
    pass


@folder("fifty gigabytes of nothing", "A sparse file of 50 GB.", kind="folder: size", **NOTHING)
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).touch()
    os.truncate(inner / NAME, 50 << 30)


@folder("fifty gigabytes beside it", "A sparse file of 50 GB beside the notebook.", kind="folder: size")
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).write_bytes(honest(lesson))
    (inner / "data.bin").touch()
    os.truncate(inner / "data.bin", 50 << 30)


@folder("two thousand files", "So many files that looking at them takes long.", kind="folder: size", **NOTHING)
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).write_bytes(honest(lesson))
    for number in range(2000):
        (inner / f"{number}.txt").touch()


@folder("a deep tree", "Folders in folders beside the notebook.", kind="folder: size")
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).write_bytes(honest(lesson))
    deep = inner / "d"
    for _ in range(200):
        deep.mkdir()
        deep = deep / "d"


@folder(
    "nobody may read it",
    "The notebook has no permissions; where root grades, it is read all the same.",
    kind="folder: names",
    least=(),
)
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).write_bytes(honest(lesson))
    (inner / NAME).chmod(0)


@folder("more notebooks", "Other notebooks lie beside the expected one.", kind="folder: names")
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).write_bytes(honest(lesson))
    (inner / "aaa.ipynb").write_bytes(b"not JSON")
    (inner / "bonus.ipynb").write_bytes(honest(lesson))
    (inner / ".ipynb_checkpoints").mkdir()
    (inner / ".ipynb_checkpoints" / "lm-basics-checkpoint.ipynb").write_bytes(honest(lesson))


@folder("two copies", "Two copies, neither with the expected name.", kind="folder: names", **NOTHING)
def _(inner: Path, lesson: Lesson) -> None:
    for name in ("lm-basics (1).ipynb", "lm-basics (2).ipynb"):
        (inner / name).write_bytes(honest(lesson))


@folder("another name", "One notebook with a name of the student's own.", kind="folder: names")
def _(inner: Path, lesson: Lesson) -> None:
    (inner / "Copy of lm-basics.ipynb").write_bytes(honest(lesson))
