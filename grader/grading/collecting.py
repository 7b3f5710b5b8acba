"""Take in what students handed in: regular files only, size-capped, never through a link.

Everything in `submitted/` was made by somebody else: names, links, devices, sizes and times are not
believed. A submission that cannot be taken in costs its own student, never the class.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from grader.errors import SubmissionError, UsageError
from grader.grading.choosing import NO_NOTEBOOK, WorkedOn, choose_notebook
from grader.grading.regular import read_regular

MAX_NAME = 128
"""nbgrader's gradebook keeps 128 characters of a student's name."""


@dataclass(frozen=True)
class Place:
    """Where one student's submission lies; nothing is read yet.

    Attributes:
        student: the folder's name; it is also the student's name in the gradebook.
        notebook: the notebook to grade; None where there is a problem.
        remarks: what was odd and did no harm.
        problem: why there is nothing to grade, as a sentence for the student.
    """

    student: str
    notebook: Path | None = None
    remarks: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Submission:
    """One student's notebook for one chapter, as bytes.

    Attributes:
        student: as in `Place`.
        data: the notebook; empty where there is a problem.
        digest: sha256 of the data in hex: the attempt. Where there is a problem, of the problem.
        received: when the file came to lie on this machine, in UTC: no student can choose it. Kept with the
            result.
        claimed: the time in a `timestamp.txt` beside it, as nbgrader's own collecting writes it; a student
        may
            have. It is what nbgrader's late penalties and formgrader go by; empty where there is none.
        remarks: as in `Place`.
        problem: as in `Place`.
    """

    student: str
    data: bytes
    digest: str
    received: datetime | None
    claimed: str = ""
    remarks: tuple[str, ...] = ()
    problem: str = ""


def find_submissions(
    submitted: Path, chapter_id: str, stem: str, only: Sequence[str] = (), worked_on: WorkedOn | None = None
) -> list[Place]:
    """Every student's submission for a chapter, by name. Who has no folder for the chapter is absent.

    Args:
        submitted: the folder that holds STUDENT/CHAPTER/.
        chapter_id: the chapter.
        stem: the notebook's expected name without `.ipynb`.
        only: the students to take; all of them where it is empty.
        worked_on: says of a notebook's bytes whether any answer was touched; decides where there are several.

    Raises:
        UsageError: when a student of `only` has no folder, or when no student has a notebook for this
            chapter.
    """
    students = {entry.name: entry for entry in os.scandir(submitted) if not entry.name.startswith(".")}
    for name in only:
        if name not in students:
            raise UsageError(f"{submitted} has no folder of a student {name!r}", "check the name given with --student")
    found = []
    for name in sorted(set(only) or students):
        entry = students[name]
        if entry.is_symlink() or entry.is_dir(follow_symlinks=False):
            place = _find_one(Path(entry.path), name, chapter_id, stem, worked_on)
            found += [place] if place is not None else []
    if all(place.problem.startswith(NO_NOTEBOOK) for place in found):
        who = f"of {', '.join(only)} " if only else ""
        raise UsageError(
            f"no notebook {who}for {chapter_id} in {submitted}",
            f"put each submission at submitted/STUDENT/{chapter_id}/{stem}.ipynb",
        )
    return found


def _find_one(folder: Path, student: str, chapter_id: str, stem: str, worked_on: WorkedOn | None) -> Place | None:
    try:
        _check_name(student)
        if folder.is_symlink():
            raise SubmissionError("The submission is a link to another place, not a folder.")
        inner = folder / chapter_id
        if not os.path.lexists(inner):
            return None
        if inner.is_symlink() or not inner.is_dir():
            raise SubmissionError("The submission is a link or a file where a folder should be.")
        notebook, remarks = choose_notebook(inner, stem, worked_on)
    except SubmissionError as error:
        return Place(student, problem=error.problem)
    return Place(student, notebook, remarks)


def take_in(place: Place) -> Submission:
    """Read a submission. Whatever is wrong with it becomes its problem."""
    try:
        if place.notebook is None:
            raise SubmissionError(place.problem)
        data, received = read_regular(place.notebook)
    except SubmissionError as error:
        return with_problem(place, error.problem)
    claimed = _claimed_time(place.notebook.parent / "timestamp.txt")
    return Submission(place.student, data, hashlib.sha256(data).hexdigest(), received, claimed, place.remarks)


def with_problem(known: Place | Submission, problem: str) -> Submission:
    """The same submission with nothing to grade in it."""
    digest = known.digest if isinstance(known, Submission) else hashlib.sha256(problem.encode()).hexdigest()
    received = known.received if isinstance(known, Submission) else None
    claimed = known.claimed if isinstance(known, Submission) else ""
    return Submission(known.student, b"", digest, received, claimed, known.remarks, problem)


def _check_name(student: str) -> None:
    """Refuse a name that cannot be a key in the gradebook or a part of a path."""
    unsafe = len(student) > MAX_NAME or student != student.strip() or not student.isprintable() or "\\" in student
    if unsafe or student in (".", ".."):
        raise SubmissionError(
            "The name of the student's folder cannot be used: it is too long, begins or ends with a space, "
            "or holds a character that cannot be printed."
        )


def is_recordable(submission: Submission) -> bool:
    """Whether the student's name can be written into the gradebook at all."""
    try:
        _check_name(submission.student)
    except SubmissionError:
        return False
    return True


def _claimed_time(path: Path) -> str:
    """The time in a timestamp file, in nbgrader's form; empty for none and for one still to come."""
    try:
        data, received = read_regular(path, most=200)
        # here: an import of two seconds, for the few who have such a file
        from nbgrader.utils import parse_utc

        time = parse_utc(data.decode("ascii").strip())
    except (SubmissionError, ValueError, OverflowError, TypeError):
        return ""
    if time.replace(tzinfo=UTC) > received:
        return ""
    return f"{time:%Y-%m-%d %H:%M:%S.%f} UTC"
