"""The leak check: no secret line in anything that is published, in whatever form it hides there.

Used on the finished site, on the bundle that students get, and on what a class gets back.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.book.grams import SecretIndex
from grader.book.readings import UnreadError, readings
from grader.book.secrets import Secret
from grader.errors import CourseError

SHOWN = 12
"""Leaks that a message lists."""


@dataclass(frozen=True)
class Leak:
    """A secret and where it came out.

    Attributes:
        path: the file.
        form: in words, how it was found; why a part could not be searched where there is no secret.
        secret: what came out; None for a part that could not be searched.
        line: where the secret begins; in the unpacked text where it was packed; 0 where there are no lines.
        packed: whether the line is that of an unpacked text.
    """

    path: Path
    form: str
    secret: Secret | None
    line: int = 0
    packed: bool = False

    def __str__(self) -> str:
        if self.secret is None:
            return f"{self.path}: cannot be searched whole: {self.form}"
        place = f"{self.path}:{self.line}" if self.line and not self.packed else f"{self.path}"
        line = f", line {self.line}" if self.packed else ""
        return f"{place}: holds {self.secret.place} ({self.secret.kind}, found {self.form}{line})"


class LeakError(CourseError):
    """Something secret is about to be published."""


def refuse_leaks(folder: Path, secrets: Sequence[Secret]) -> int:
    """Read every file below `folder`, and return how many there were.

    Raises:
        LeakError: with the file below `folder`, the form and the secret's own place, for the first few leaks.
    """
    files = files_below(folder)
    leaks = [replace(leak, path=leak.path.relative_to(folder)) for leak in find_leaks(files, secrets)]
    if leaks:
        raise LeakError(
            in_words(leaks, len(files)),
            "mark it as a solution in the page, or make the line public there if it is meant to be",
        )
    return len(files)


def in_words(leaks: Sequence[Leak], files: int) -> str:
    """What was found, the first few leaks by name; the secrets themselves are not repeated."""
    shown = "\n".join(f"  {leak}" for leak in leaks[:SHOWN])
    more = f"\n  and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else ""
    return f"{len({leak.path for leak in leaks})} of {files} files hold a secret:\n{shown}{more}"


def files_below(path: Path) -> list[Path]:
    """The file itself, or every regular file below the folder, by name."""
    return [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())


def find_leaks(files: Iterable[Path], secrets: Sequence[Secret] | SecretIndex) -> Iterator[Leak]:
    """Every secret in every file, once a file; then what could not be searched."""
    index = secrets if isinstance(secrets, SecretIndex) else SecretIndex(secrets)
    for path in files:
        yield from leaks_in(path.read_bytes(), path, index)
        if path.name == "searchindex.js":
            yield from _in_search_index(path, index.secrets)


def leaks_in(data: bytes, path: Path, index: SecretIndex) -> Iterator[Leak]:
    """Every secret in some bytes that are, or are to be, the file at `path`."""
    seen: set[str] = set()
    try:
        for reading in readings(data):
            for secret, line in index.found_in(reading.text):
                if secret.text not in seen:
                    seen.add(secret.text)
                    yield Leak(path, reading.form, secret, line, reading.packed)
    except UnreadError as error:
        yield Leak(path, str(error), None)


def _in_search_index(path: Path, secrets: Sequence[Secret]) -> Iterator[Leak]:
    """A search index keeps words, not lines: two names of one owner that nothing public has are a leak."""
    text = path.read_text(encoding="utf-8")
    start, end = text.find("{"), text.rfind("}")
    try:
        terms = json.loads(text[start : end + 1]).get("terms", {})
    except (ValueError, AttributeError):
        terms = dict.fromkeys(re.findall(r"\w+", text), 0)
    by_owner: dict[str, dict[str, Secret]] = defaultdict(dict)
    for secret in secrets:
        for name in secret.names:
            by_owner[secret.owner].setdefault(name, secret)
    for names in by_owner.values():
        hits = [name for name in names if any(term in terms for term in _stems(name))]
        if len(hits) >= min(2, len(names)):
            yield Leak(path, f"as the words {', '.join(sorted(hits)[:4])}", names[hits[0]])


def _stems(name: str) -> set[str]:
    import snowballstemmer  # type: ignore[import-untyped]

    word = name.lower()
    return {
        word,
        snowballstemmer.stemmer("english").stemWord(word),
        snowballstemmer.stemmer("porter").stemWord(word),
    }
