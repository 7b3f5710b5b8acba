"""What a result depends on, as hashes: equal keys, equal result.

A score depends on the bytes that were handed in, on what of them is run (cells, budget, library slice,
environment), on the questions (each exercise's probe and the inputs drawn from its seed), and on the judge.
Each has a key of its own, so that a change repeats what it touches and nothing more.
"""

import functools
import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

import grader
from grader.course import Chapter, Course
from grader.execution.plan import Plan, ProbeCall
from grader.grading.imports import files_behind


def digest(*parts: bytes) -> str:
    """One sha256 in hex over parts whose borders count.

    >>> digest(b"ab", b"c") == digest(b"a", b"bc")
    False
    """
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()


def digest_of_files(paths: Iterable[Path], root: Path) -> str:
    """One key for files: their places below `root` and their bytes."""
    parts = [part for path in paths for part in (os.path.relpath(path, root).encode(), path.read_bytes())]
    return digest(*parts)


def question_key(probe: ProbeCall) -> str:
    """What one exercise is asked: its probe, the names it takes, and the inputs of its cases."""
    return digest(repr(tuple(probe.uses)).encode(), probe.source.encode(), *probe.inputs)


def run_key(plan: Plan, environment: str) -> str:
    """What is run before any question is asked.

    Not the names that are remembered for a probe: they belong to its question. Not the sandbox: whether a result
    may be used again where there is one, is decided by its `isolation`.
    """
    cells = [(cell.id, cell.source, cell.exercise) for cell in plan.cells if not cell.captures]
    about = [cells, astuple(plan.budget), plan.library.digest, environment, plan.seed]
    return digest(json.dumps(about).encode())


def judge_key(course: Course, chapter: Chapter) -> str:
    """`hidden.py` and all that it imports from the course folder and the library."""
    return digest_of_files(files_behind(chapter.hidden, (course.library_root, course.root)), course.root)


@functools.cache
def installed() -> dict[str, str]:
    """What decides how code runs here, in words: Python, the machine, and each distribution with its version.

    Distributions are read from the names of their folders: opening the files of hundreds takes as long as
    grading a submission. What a package carries inside itself is its own matter: setuptools puts such a folder
    on the path as soon as anything imports it, and the answer must not depend on when that is.
    """
    found = {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}",
        "grader.execution": _engine(),
    }
    for folder in map(Path, sys.path):
        inside_a_package = {"site-packages", "dist-packages"} & set(folder.parent.parts)
        if str(folder).startswith((sys.prefix, sys.base_prefix)) and not inside_a_package and folder.is_dir():
            for path in folder.iterdir():
                stem, ending = path.stem, path.suffix
                if ending in (".dist-info", ".egg-info"):
                    distribution, _, version = stem.partition("-")
                    found.setdefault(distribution.lower(), version)
    return dict(sorted(found.items()))


def _engine() -> str:
    """The programs that run submissions: they are part of the environment."""
    root = Path(grader.__file__).parent
    return digest_of_files(sorted([root / "wire.py", *(root / "execution").glob("*.py")]), root)[:16]


@functools.cache
def environment_key() -> str:
    """One key for `installed`."""
    return digest(json.dumps(installed()).encode())


@functools.cache
def grader_key() -> str:
    """The grader's own programs: a new edition of them writes every result again, without running anything."""
    root = Path(grader.__file__).parent
    return digest_of_files(sorted(root.rglob("*.py")), root)


def sources_key(course: Course, chapter: Chapter) -> str:
    """All files of the course that a chapter's notebooks, checks and library slice are made from."""
    folders = [course.root / "solutions", course.root / "book"]
    pages = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".md", ".bib")]
    own = [path for path in chapter.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    library = [course.library_root / path for path in course.library_files(chapter)]
    files = {course.root / "course.toml", *pages, *own, *library}
    return digest(digest_of_files(sorted(files), course.root).encode(), judge_key(course, chapter).encode())
