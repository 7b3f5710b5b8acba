"""From an archive of a learning management system to submitted/STUDENT/CHAPTER/, where `course grade` looks.

One bad file costs its own student, never the class. Nothing that is there is lost: a submission that differs is
kept, or put aside when it is to be replaced.
"""

import hashlib
import re
import shutil
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.errors import SubmissionError, UsageError
from grader.grading.collecting import MAX_NAME
from grader.release.sorting import Owner, own_pattern, owners
from grader.release.unpacking import DAMAGE, MAX_NOTEBOOKS, candidates, notebooks_in, printable

PUT_ASIDE = "replaced"
"""The folder of a class that keeps what was replaced."""


@dataclass(frozen=True)
class Taken:
    """What became of one student's submission.

    Attributes:
        student: the name; of a file or an archive where no student could be told from it.
        state: "new", "as before", "replaced", "kept" or "refused".
        words: the reason where it was kept or refused, what was odd where it was taken.
    """

    student: str
    state: str
    words: str = ""


def collect(
    archives: Sequence[Path], chapter_id: str, classroom: Path, pattern: str | None = None, overwrite: bool = False
) -> list[Taken]:
    """Unpack the notebooks of some archives into the class folder.

    Args:
        archives: zips; a later one wins where both have a student's notebook.
        chapter_id: the chapter.
        classroom: the class folder; made when it is missing.
        pattern: how names in the archives tell the student; None for those of Moodle, Canvas, and folders.
        overwrite: whether a submission that is there and differs is replaced.

    Raises:
        UsageError: when an archive is missing or the pattern cannot be used.
    """
    compiled = own_pattern(pattern) if pattern is not None else None
    for path in archives:
        if not path.is_file():
            raise UsageError(f"there is no archive {path}", "name the zip that you downloaded")
    taken: dict[str, Taken] = {}
    for path in reversed(archives):
        for each in _from_one(path, chapter_id, classroom, compiled, overwrite, set(taken)):
            taken.setdefault(each.student, each)
    return [taken[student] for student in sorted(taken)]


def _from_one(
    path: Path,
    chapter_id: str,
    classroom: Path,
    pattern: re.Pattern[str] | None,
    overwrite: bool,
    done: set[str],
) -> list[Taken]:
    try:
        with zipfile.ZipFile(path) as archive:
            by_student, taken = _sorted_out(candidates(archive), pattern)
            for student, members in by_student.items():
                if student not in done:
                    files, remarks = _files_of(archive, members)
                    placed = _place(classroom, student, chapter_id, files, overwrite) if files else None
                    placed = placed or Taken(student, "refused")
                    taken.append(replace(placed, words="; ".join(filter(None, [placed.words, *remarks]))))
    except (SubmissionError, *DAMAGE) as error:
        return [Taken(str(path), "refused", f"cannot be read as a zip: {error}")]
    return taken


Members = list[tuple[zipfile.ZipInfo, Owner]]


def _sorted_out(
    members: Sequence[zipfile.ZipInfo], pattern: re.Pattern[str] | None
) -> tuple[dict[str, Members], list[Taken]]:
    """The members of each student, and what cannot be anybody's."""
    known = owners([member.filename for member in members], pattern)
    by_student: dict[str, Members] = defaultdict(list)
    refused = []
    for member in members:
        owner = known[member.filename]
        if owner is None:
            words = "no student can be told from the name; say how with --pattern"
            refused.append(Taken(printable(member.filename), "refused", words))
        else:
            by_student[owner.student].append((member, owner))
    for student in list(by_student):
        words = _unusable(student)
        numbers = {owner.number for _, owner in by_student[student]}
        if len(numbers) > 1:
            # a wrong guess would give one student the other's work
            words = f"{len(numbers)} students have this name; give each a name of their own with --pattern"
        if words:
            del by_student[student]
            refused.append(Taken(printable(student), "refused", words))
    return by_student, refused


def _files_of(archive: zipfile.ZipFile, members: Members) -> tuple[dict[str, bytes], list[str]]:
    files: dict[str, bytes] = {}
    remarks = []
    for member, owner in members:
        if len(files) >= MAX_NOTEBOOKS:
            remarks.append(f"more than {MAX_NOTEBOOKS} notebooks: the rest is left out")
            break
        try:
            files.update(notebooks_in(archive, member, owner.file))
        except SubmissionError as error:
            remarks.append(str(error))
    return files, remarks


def _unusable(student: str) -> str:
    """Why a name cannot be that of a folder; empty where it can."""
    bad = not student.isprintable() or len(student.encode(errors="replace")) > MAX_NAME or student.startswith(".")
    if bad or student != student.strip() or re.search(r'[/\\:*?"<>|\[\]]', student):
        return "the name cannot be that of a folder"
    return ""


def _place(classroom: Path, student: str, chapter_id: str, files: Mapping[str, bytes], overwrite: bool) -> Taken:
    home = classroom / "submitted" / student
    target = home / chapter_id
    if home.is_symlink() or target.is_symlink() or (target.exists() and not target.is_dir()):
        return Taken(student, "refused", f"{target} is a link or a file")
    before = _notebooks(target)
    if before == {name: _digest(data) for name, data in files.items()}:
        return Taken(student, "as before")
    if before and not overwrite:
        return Taken(student, "kept", "the class folder has another version; take this one with --replace")
    home.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=classroom / "submitted"))
    try:
        for name, data in files.items():
            (part / name).write_bytes(data)
        part.chmod(0o755)
        if target.exists():
            mark = _digest("".join(sorted(before.values())).encode())[:8]
            aside = classroom / PUT_ASIDE / student / f"{chapter_id}-{mark}"
            shutil.rmtree(aside, ignore_errors=True)
            aside.parent.mkdir(parents=True, exist_ok=True)
            target.rename(aside)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Taken(student, "replaced" if before else "new")


def _notebooks(folder: Path) -> dict[str, str]:
    """The hashes of the notebooks in a submission's folder."""
    if not folder.is_dir():
        return {}
    paths = [path for path in folder.iterdir() if path.suffix.lower() == ".ipynb" and path.is_file()]
    return {path.name: _digest(path.read_bytes()) for path in paths if not path.is_symlink()}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
