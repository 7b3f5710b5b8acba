"""Every way in which a published file can be read as text: as it is, unescaped, without its markup, unpacked.

Base64 runs and zlib, gzip and zip streams are opened wherever they lie, so a notebook's attachments, a picture's
compressed comments and a zip inside a zip are read like any text.
"""

import base64
import binascii
import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

DEPTH = 4
MAX_BYTES = 64 << 20
"""Of one packed part. What is larger is reported as unread."""

MAX_UNPACKED = 512 << 20
"""Of all packed parts of one file together: a student's file may be made to unpack without end."""

SHORT = 16
"""Bytes: less than this, unpacked, is chance and no secret."""

AS_IT_IS = "as it is"
LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl"})
"""Glyphs of print that stand for several letters."""

TAG = re.compile(r"<[^<>]*>")
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]+")
STREAM = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")


@dataclass(frozen=True)
class Reading:
    """One reading of a file.

    Attributes:
        form: in words, where the text was found.
        text: what it says.
        packed: whether it was unpacked, so that its lines are not those of the file.
    """

    form: str
    text: str
    packed: bool


class UnreadError(Exception):
    """Too much is packed inside to be searched whole."""


def readings(data: bytes) -> Iterator[Reading]:
    """Every reading of a file's bytes.

    Raises:
        UnreadError: when a part is too large, or unpacks to too much; after all that could be read.
    """
    reader = _Reader()
    yield from reader.read(data, AS_IT_IS, DEPTH)
    if reader.unread:
        raise UnreadError(reader.unread)


class _Reader:
    def __init__(self) -> None:
        self.left = MAX_UNPACKED
        self.unread = ""

    def read(self, data: bytes, form: str, depth: int) -> Iterator[Reading]:
        packed = depth < DEPTH
        archive = zipfile.is_zipfile(io.BytesIO(data))
        if archive and depth:
            # its members first: what is found there has a name and a line, and need not be packed
            yield from self._deeper(self._members(data), form, depth)
        # without control characters: the pixels of an image are then no longer text, and UTF-16 is
        text = CONTROL.sub("", data.decode("utf-8", errors="ignore"))
        yield Reading(form, text, packed)
        plain = html.unescape(ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)) if _may_escape(text) else text
        if plain != text:
            yield Reading(f"{form}, escaped", plain, packed)
        if "<" in text:
            bare = TAG.sub(lambda tag: "\n" * tag[0].count("\n"), text)
            if bare != text:
                yield Reading(f"{form}, inside markup", html.unescape(bare), packed)
        if data.startswith(b"%PDF-"):
            yield Reading(f"{form}, in the letters of the PDF", self._letters(data), True)
        if depth and not archive:
            yield from self._deeper(self._inside(data), form, depth)

    def _deeper(self, parts: Iterator[tuple[str, bytes]], form: str, depth: int) -> Iterator[Reading]:
        for inner_form, inner in parts:
            self.left -= len(inner)
            if self.left < 0:
                self.unread = f"more than {MAX_UNPACKED >> 20} MB are packed inside"
                return
            yield from self.read(inner, inner_form if form == AS_IT_IS else f"{form}, {inner_form}", depth - 1)

    def _letters(self, data: bytes) -> str:
        """The text of a PDF, whose pages name glyphs and their places, not letters."""
        try:
            import pypdf
        except ImportError:
            self.unread = "a PDF, and pypdf, which reads its letters, is not installed"
            return ""
        try:
            pages = pypdf.PdfReader(io.BytesIO(data)).pages
            return "\n".join(page.extract_text() for page in pages).translate(LIGATURES)
        except Exception as error:
            # whatever is wrong with the file: what cannot be read was not searched
            self.unread = f"a damaged PDF ({error})"
            return ""

    def _inside(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        for run in BASE64.finditer(data):
            body = run[0].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
            # a run of a whole number of words plus one character cannot be base64: leave that character off
            body = body[: len(body) - (len(body) % 4 == 1)]
            try:
                yield "in base64", base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
            except binascii.Error:
                continue
        view = memoryview(data)
        for start in STREAM.finditer(data):
            decoder = zlib.decompressobj(wbits=47)
            try:
                unpacked = decoder.decompress(view[start.start() :], MAX_BYTES)
            except zlib.error:
                continue
            if decoder.unconsumed_tail and len(unpacked) >= MAX_BYTES:
                self.unread = f"a compressed part of more than {MAX_BYTES >> 20} MB"
            if len(unpacked) >= SHORT:
                yield "compressed", unpacked

    def _members(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for member in archive.infolist():
                    if member.file_size > MAX_BYTES or member.flag_bits & 1:
                        self.unread = f"{member.filename} in the zip is too large or encrypted"
                        continue
                    with archive.open(member) as file:
                        # the size in the directory is the archive's own claim
                        yield f"in the zip as {member.filename}", file.read(MAX_BYTES)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError) as error:
            self.unread = f"a damaged zip ({error})"


def _may_escape(text: str) -> bool:
    return "&" in text or "\\u" in text
