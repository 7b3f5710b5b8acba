"""The leak check: no secret line in anything that is published, in whatever form it hides there.

Every file is read as it is, with HTML entities and tags undone, with JSON escapes undone; base64 runs and
zlib, gzip and zip streams inside it are opened and read the same way, a few levels deep. Used on the finished
site and on the bundle that students get.
"""

import base64
import binascii
import html
import io
import json
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.book.secrets import Secret, squeeze
from grader.errors import CourseError

GRAM = 16
"""Characters of a secret that are looked up first; every secret is longer."""

DEPTH = 4
MAX_BYTES = 64 << 20
TAG = re.compile(r"<[^<>]*>")
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]+")
STREAM = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")


@dataclass(frozen=True)
class Leak:
    """A secret and where it came out."""

    path: Path
    form: str
    secret: Secret

    def __str__(self) -> str:
        return f"{self.path}: holds {self.secret.place} ({self.secret.kind}, found {self.form})"


class LeakError(CourseError):
    """Something secret is about to be published."""


def refuse_leaks(folder: Path, secrets: Sequence[Secret]) -> int:
    """Read every file below `folder`, and return how many there were.

    Raises:
        LeakError: with the file, the form and the secret's own place, for the first few leaks.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    leaks = list(find_leaks(files, secrets))
    if leaks:
        shown = "\n".join(f"  {leak}" for leak in leaks[:12])
        more = f"\n  and {len(leaks) - 12} more" if len(leaks) > 12 else ""
        raise LeakError(
            f"{len({leak.path for leak in leaks})} of {len(files)} files hold a secret:\n{shown}{more}",
            "mark it as a solution in the page, or make the line public there if it is meant to be",
        )
    return len(files)


def find_leaks(files: Iterable[Path], secrets: Sequence[Secret]) -> Iterator[Leak]:
    """Every secret in every file, once a file."""
    index: dict[str, list[Secret]] = defaultdict(list)
    for secret in secrets:
        index[secret.text[:GRAM]].append(secret)
    for path in files:
        seen: set[str] = set()
        for form, text in _texts(path.read_bytes(), "as it is", DEPTH):
            for secret in _found(squeeze(text), index):
                if secret.text not in seen:
                    seen.add(secret.text)
                    yield Leak(path, form, secret)
        if path.name == "searchindex.js":
            yield from _in_search_index(path, secrets)


def _found(text: str, index: dict[str, list[Secret]]) -> Iterator[Secret]:
    grams = {text[start : start + GRAM] for start in range(len(text) - GRAM + 1)}
    for gram in grams & index.keys():
        for secret in index[gram]:
            if secret.text in text:
                yield secret


def _texts(data: bytes, form: str, depth: int) -> Iterator[tuple[str, str]]:
    """Each reading of the bytes as text, with the words for where it was."""
    # without control characters: the pixels of an image are then no longer text, and UTF-16 is
    text = CONTROL.sub("", data.decode("utf-8", errors="ignore"))
    yield form, text
    plain = html.unescape(ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))
    if plain != text:
        yield f"{form}, escaped", plain
    if "<" in text:
        yield f"{form}, inside markup", html.unescape(TAG.sub("", text))
    if depth and len(data) <= MAX_BYTES:
        for inner_form, inner in _inside(data):
            yield from _texts(inner, inner_form if form == "as it is" else f"{form}, {inner_form}", depth - 1)


def _inside(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What is packed inside the bytes."""
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if member.file_size <= MAX_BYTES and not member.flag_bits & 1:
                    yield f"in the zip as {member.filename}", archive.read(member)
        return
    for run in BASE64.findall(data):
        body = run.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        # a run of a whole number of words plus one character cannot be base64: leave that character off
        body = body[: len(body) - (len(body) % 4 == 1)]
        try:
            yield "in base64", base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
        except binascii.Error:
            continue
    for start in STREAM.finditer(data):
        decoder = zlib.decompressobj(wbits=47)
        try:
            unpacked = decoder.decompress(data[start.start() :], MAX_BYTES)
        except zlib.error:
            continue
        if len(unpacked) >= GRAM:
            yield "compressed", unpacked


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
