"""Take in what students handed in: regular files only, size-capped, never through a link.

Everything in `submitted/` was made by somebody else: names, links, devices, sizes and times are not
believed. A submission that cannot be taken in costs its own student, never the class.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from grader.errors import SubmissionError, UsageError

MAX_NOTEBOOK_BYTES = 50 << 20
"""A notebook with many saved figures has a few megabytes; JSON of this size is read in about a second."""

MAX_ENTRIES = 1000
"""Files looked at in one submission's folder."""

MAX_NAME = 128
"""nbgrader's gradebook keeps 128 characters of a student's name."""

NO_NOTEBOOK = "There is no notebook"


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


def find_submissions(submitted: Path, chapter_id: str, stem: str, only: Sequence[str] = ()) -> list[Place]:
    """Every student's submission for a chapter, by name. Who has no folder for the chapter is absent.

    Args:
        submitted: the folder that holds STUDENT/CHAPTER/.
        chapter_id: the chapter.
        stem: the notebook's expected name without `.ipynb`.
        only: the students to take; all of them where it is empty.

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
            place = _find_one(Path(entry.path), name, chapter_id, stem)
            found += [place] if place is not None else []
    if all(place.problem.startswith(NO_NOTEBOOK) for place in found):
        who = f"of {', '.join(only)} " if only else ""
        raise UsageError(
            f"no notebook {who}for {chapter_id} in {submitted}",
            f"put each submission at submitted/STUDENT/{chapter_id}/{stem}.ipynb",
        )
    return found


def _find_one(folder: Path, student: str, chapter_id: str, stem: str) -> Place | None:
    try:
        _check_name(student)
        if folder.is_symlink():
            raise SubmissionError("The submission is a link to another place, not a folder.")
        inner = folder / chapter_id
        if not os.path.lexists(inner):
            return None
        if inner.is_symlink() or not inner.is_dir():
            raise SubmissionError("The submission is a link or a file where a folder should be.")
        notebook, remarks = _choose(inner, stem)
    except SubmissionError as error:
        return Place(student, problem=error.problem)
    return Place(student, notebook, remarks)


def take_in(place: Place) -> Submission:
    """Read a submission. Whatever is wrong with it becomes its problem."""
    try:
        if place.notebook is None:
            raise SubmissionError(place.problem)
        data, received = _read_regular(place.notebook)
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


def _choose(folder: Path, stem: str) -> tuple[Path, tuple[str, ...]]:
    """The notebook to grade: the one with the expected name, else the only one there is."""
    names, links = [], 0
    for entry in _first_entries(folder):
        if not entry.name.lower().endswith(".ipynb") or entry.name.startswith("."):
            continue
        if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            names.append(entry.name)
        else:
            links += 1
    expected = f"{stem}.ipynb"
    if expected in names:
        others = len(names) - 1
        remarks = (f"{others} more notebook{'s' * (others > 1)} beside {expected}: not read",) if others else ()
        return folder / expected, remarks
    if len(names) == 1:
        return folder / names[0], (f"the notebook was named {shown_name(names[0])}, not {expected}",)
    if names:
        some = ", ".join(shown_name(name) for name in sorted(names)[:5])
        raise SubmissionError(f"There are {len(names)} notebooks, and none is named {expected}: {some}.")
    if links:
        raise SubmissionError("The notebook is a link or a device, not a file.")
    raise SubmissionError(f"{NO_NOTEBOOK} in the submission; it should be named {expected}.")


def _first_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count >= MAX_ENTRIES:
                raise SubmissionError(f"The submission holds more than {MAX_ENTRIES:,} files.")
            yield entry


def shown_name(name: str) -> str:
    """A file's name, short and printable, for a message."""
    return re.sub(r"[^\w .()\-]", "?", name)[:60]


def _claimed_time(path: Path) -> str:
    """The time in a timestamp file, in nbgrader's form; empty for none and for one still to come."""
    from nbgrader.utils import parse_utc

    try:
        data, received = _read_regular(path, most=200)
        time = parse_utc(data.decode("ascii").strip())
    except (SubmissionError, ValueError, OverflowError, TypeError):
        return ""
    if time.replace(tzinfo=UTC) > received:
        return ""
    return f"{time:%Y-%m-%d %H:%M:%S.%f} UTC"


def _read_regular(path: Path, most: int | None = None) -> tuple[bytes, datetime]:
    """The bytes of a regular file and the time when it came to lie here.

    The inode's change time is the kernel's: a modification time comes with an archive and is the student's
    to choose.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SubmissionError(f"The notebook cannot be opened: {error.strerror}.") from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise SubmissionError("The notebook is a link or a device, not a file.")
        if status.st_size > (MAX_NOTEBOOK_BYTES if most is None else most):
            raise SubmissionError(
                f"The notebook has {status.st_size >> 20} MB; at most {MAX_NOTEBOOK_BYTES >> 20} MB "
                "are read. Clear its outputs and hand it in again."
            )
        try:
            data = file.read(MAX_NOTEBOOK_BYTES + 1)
        except OSError as error:
            raise SubmissionError(f"The notebook cannot be read: {error.strerror}.") from None
    if not data.strip():
        raise SubmissionError("The notebook is an empty file.")
    return data, datetime.fromtimestamp(status.st_ctime, UTC)
