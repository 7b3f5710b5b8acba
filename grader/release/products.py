"""What is searched for leaks, and which lines are secret in it: a bundle, a class folder, a site, anything else.

A class gives back what its students handed in: a line of an answer that stands in a student's own submission is no
leak in that student's feedback or autograded notebook. The words of verdicts are written in `hidden.py` for
students to read, so there a quoted sentence is none either; every other line of it is.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.book.grams import SecretIndex
from grader.book.leak import Leak, files_below, find_leaks, leaks_in
from grader.book.secrets import Secret, secrets_of, squeeze
from grader.course import Course
from grader.errors import SubmissionError, UsageError
from grader.grading.regular import read_regular
from grader.release.bundle import MANIFEST, read_manifest
from grader.release.writing import is_bundle, manifest_in

Announce = Callable[[int, int], None]

GIVEN_BACK = ("feedback", "autograded", "feedback_nbgrader")
"""Folders of a class that hold STUDENT/CHAPTER/."""

HANDED_OUT = ("release", "exchange")
"""Folders of a class that all students may read."""

INBOUND = "inbound"
"""The part of nbgrader's exchange that holds submissions."""

REMEDIES = {
    "bundle": "do not hand it out: take the line out of its source, and make the bundle again with `course release`",
    "class": "do not give it back: see how the line got there (a message in hidden.py, a student's output), mend that, "
    "and grade again with `course grade --force`",
    "site": "do not publish it: mark the line as a solution in the page, and build again with `course book`",
    "file": "do not publish it: take the line out, or make it public in the page if it is meant to be",
}


@dataclass(frozen=True)
class Product:
    """Something that students or readers get.

    Attributes:
        kind: "bundle", "class", "site" or "file".
        path: where it is.
        through: the last chapter that it is for; None for the whole course.
    """

    kind: str
    path: Path
    through: str | None = None


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    files: int
    secrets: int
    leaks: tuple[Leak, ...]


def product_at(path: Path, through: str | None = None) -> Product:
    """What there is at a path.

    Raises:
        UsageError: when there is nothing.
    """
    if path.is_dir() and is_bundle(path):
        manifest = read_manifest((path / MANIFEST).read_bytes()) or {}
        return Product("bundle", path, through or str(manifest["through"]))
    if path.is_file() and (found := manifest_in(path)) is not None:
        return Product("bundle", path, through or str(found["through"]))
    if (path / "submitted").is_dir():
        return Product("class", path, through)
    if path.is_dir() or path.is_file():
        return Product("site" if (path / "searchindex.js").is_file() else "file", path, through)
    raise UsageError(f"there is nothing at {path}", "name a bundle, a class folder, a site or a file")


def products_of(course: Course, classroom: Path) -> list[Product]:
    """What the course's commands have made so far: bundles, the site, the class.

    Raises:
        UsageError: when there is nothing yet.
    """
    bundles = sorted((course.build / "release").glob("*")) if (course.build / "release").is_dir() else []
    places = [path for path in bundles if not path.name.startswith(".")]
    places += [path for path in (course.build / "book" / "site", classroom) if path.is_dir()]
    found = [product_at(path) for path in places]
    if not found:
        raise UsageError("there is no bundle, no site and no class yet", "name what to search")
    return found


def class_secrets(classroom: Path) -> list[Secret]:
    """The secret that draws a class's hidden inputs; none where there is no graded class."""
    path = classroom / ".secret"
    if not path.is_file():
        return []
    text = squeeze(path.read_text(encoding="ascii", errors="replace"))
    return [Secret(text, "class secret", str(path), "the class")] if len(text) >= 32 else []


def search(
    course: Course, product: Product, also: tuple[Secret, ...] = (), announce: Announce = lambda done, total: None
) -> Found:
    """Look for every secret in a product.

    Args:
        course: the course.
        product: from `product_at`.
        also: secrets besides the course's own.
        announce: called with the folders of a class that are done and that there are.

    Raises:
        NoSuchChapter: when the product is for a chapter that course.toml does not list.
    """
    if product.kind == "class":
        return _search_class(course, product, also, announce)
    students_only = product.kind == "bundle"
    index = SecretIndex([*secrets_of(course, product.through, with_library=students_only), *also])
    files = files_below(product.path)
    return Found(len(files), len(index.secrets), tuple(find_leaks(files, index)))


def _search_class(course: Course, product: Product, also: tuple[Secret, ...], announce: Announce) -> Found:
    chapters = {chapter.id for chapter in course.chapters}
    most = 0

    @functools.cache
    def index_for(chapter_id: str) -> SecretIndex:
        through = chapter_id if chapter_id in chapters else product.through
        secret = [each for each in secrets_of(course, through) if not (each.quoted and each.kind == "hidden check")]
        return SecretIndex([*secret, *also])

    count, leaks = 0, []
    parts = list(_parts(product.path))
    for done, part in enumerate(parts, 1):
        index = index_for(part.chapter_id)
        most = max(most, len(index.secrets))
        files = [path for path in files_below(part.folder) if INBOUND not in path.relative_to(product.path).parts]
        count += len(files)
        hits = list(find_leaks(files, index))
        if hits:
            known = _handed_in(part.submissions, index)
            leaks += [hit for hit in hits if hit.secret is None or hit.secret.text not in known]
        announce(done, len(parts))
    return Found(count, most, tuple(leaks))


@dataclass(frozen=True)
class _Part:
    """One folder of a class, the chapter it is about, and the submissions that its readers know."""

    folder: Path
    chapter_id: str
    submissions: Path


def _parts(root: Path) -> Iterator[_Part]:
    for name in GIVEN_BACK:
        for folder in sorted((root / name).glob("*/*/")):
            student, chapter_id = folder.parent.name, folder.name
            yield _Part(folder, chapter_id, root / "submitted" / student / chapter_id)
    for name in HANDED_OUT:
        if (root / name).is_dir():
            for folder in sorted((root / name).glob("*/")):
                yield _Part(folder, folder.name, root / "submitted")


def _handed_in(folder: Path, index: SecretIndex) -> set[str]:
    """The secrets that stand in a submission: in what grading would read of it."""
    known = set()
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        try:
            data, _ = read_regular(path)
        except SubmissionError:
            continue
        known |= {leak.secret.text for leak in leaks_in(data, path, index) if leak.secret}
    return known
