"""Traces of an attack: hidden things in what a student gets back, files, processes, changed submissions."""

import ast
import contextlib
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.demo.evidence import readable_text, telling_lines
from grader.hidden import probe_source

from .bait import OTHERS, Bait
from .lesson import CHAPTER, light_assignment, solutions


def leaks_of(root: Path, student: str, hidden: dict[str, list[str]], whole: bool = False) -> list[str]:
    """What stands in what a student gets back, and neither the student wrote nor everybody was given.

    Args:
        root: the class folder.
        student: whose folders are looked at.
        hidden: from `secrets_of`.
        whole: the student handed in the right answers, and is the neighbour whom others may steal from.
    """
    own = own_text(root / "submitted" / student / CHAPTER.id)
    own += own.replace("\\n", "\n")
    theirs = {
        name: [part for part in parts if part not in own]
        for name, parts in hidden.items()
        if not (whole and name in ("a neighbour's answer", "a reference answer"))
    }
    found = []
    for path in [path for name in ("autograded", "feedback") for path in files_below(root / name / student)]:
        text = shown_text(path)
        found += [
            f"{path.name} holds {name}: {held[0][:60]!r}"
            for name, parts in theirs.items()
            if (held := [part for part in parts if part in text])
        ]
    return found


def files_below(folder: Path, depth: int = 40) -> Iterator[Path]:
    """The files of a folder, some levels deep: under stock nbgrader somebody makes folders in folders without end."""
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return
    for path in inside:
        if path.is_file():
            yield path
        elif depth and path.is_dir() and not path.is_symlink():
            yield from files_below(path, depth - 1)


def remove(folder: Path) -> None:
    """Remove a folder, however deep; shutil.rmtree calls itself for each level."""
    subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(["rm", "-rf", str(folder)], check=False, stderr=subprocess.DEVNULL)


def shown_text(path: Path) -> str:
    """What a reader of a file can see; the bytes as text where it is not what its name says."""
    try:
        return readable_text(path)
    except (ValueError, RecursionError):
        return path.read_bytes().decode("utf-8", "replace")


def scores_of(url: str) -> dict[str, dict[str, float]]:
    """Automatic points by student and exercise."""
    from nbgrader.api import Gradebook

    scores: dict[str, dict[str, float]] = {}
    with Gradebook(url) as gradebook:
        for submission in gradebook.assignment_submissions(CHAPTER.id):
            for notebook in submission.notebooks:
                for graded in notebook.grades:
                    label = graded.name.removesuffix("-checks")
                    scores.setdefault(submission.student_id, {})[label] = float(graded.score)
    return scores


def secrets_of(bait: Bait) -> dict[str, list[str]]:
    """What no student may get back: name -> texts by which it is recognised."""
    assignment = light_assignment()
    public = "\n".join(cell.source for cell in assignment.skeleton.cells)
    hidden = CHAPTER.hidden.read_text(encoding="utf-8")
    # as the text that travels, too
    hidden += "\n" + "\n".join(probe_source(check) for check in assignment.hidden.values())
    hidden += "\n" + "\n".join(ast.unparse(ast.parse(CHAPTER.hidden.read_text(encoding="utf-8"))).splitlines())
    return {
        "hidden checks": telling_lines(hidden, public),
        "a reference answer": telling_lines("\n".join(solutions().values()), public),
        "the class secret": [(bait.classroom / ".secret").read_text().strip()],
        "the grader's environment": [bait.canary("environment")],
        "a file of the home": [bait.canary("home")],
        "a neighbour's answer": [bait.canary("neighbour")],
        "another submission's note": [bait.canary("note")],
        "the gradebook": ["SQLite format 3", "submitted_assignment"],
    }


def own_text(folder: Path) -> str:
    """Everything that the student wrote, as far as it can be read as text."""
    parts: list[str] = []
    for path in sorted(folder.rglob("*")) if folder.is_dir() and not folder.is_symlink() else []:
        if stat.S_ISREG(path.lstat().st_mode) and path.lstat().st_size < 60 << 20:
            data = path.read_bytes()
            text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8", "replace")
            parts.append(text)
            with contextlib.suppress(ValueError, RecursionError):
                parts += strings(json.loads(text.lstrip("\ufeff")))
    return "\n".join(parts)


def strings(value: Any) -> Iterator[str]:
    """Every text in a value as JSON gives it; lists of lines as one text, too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            yield "".join(value)
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)


def snapshot(root: Path) -> dict[str, str]:
    """What lies in `submitted/`, never written to, and in the places where nothing of a student's belongs."""
    seen = {}
    for path in sorted((root / "submitted").rglob("*")):
        status = path.lstat()
        seen[str(path)] = f"{status.st_mode} {status.st_size} {status.st_mtime_ns if not path.is_dir() else ''}"
    return seen


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What was changed in `submitted/`."""
    return [
        f"{path} was changed" for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)
    ]


def planted(bait: Bait) -> list[str]:
    """Files with the mark in their names, wherever the attackers were told to leave them."""
    places = [bait.root, bait.classroom, bait.home, *OTHERS]
    return [f"{path} was left behind" for place in places for path in sorted(place.glob(f"*{bait.mark}*"))]


def survivors(mark: str) -> list[str]:
    """Processes whose command line carries the mark."""
    alive = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes() and path.parent.name != str(os.getpid()):
                alive.append(f"a process goes on: {path.read_bytes()[:80]!r}")
    return alive
