"""The notebooks in an archive that somebody else made: read with caps, never through a path or a link of it."""

import io
import re
import stat
import zipfile
import zlib

from grader.errors import SubmissionError
from grader.grading.regular import MAX_NOTEBOOK_BYTES

MAX_MEMBERS = 200_000
MAX_INNER_BYTES = 100 << 20
"""Of a zip within the zip, as some students hand in."""

MAX_NOTEBOOKS = 20
"""Of one student."""

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)


def candidates(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members that are notebooks, or zips that may hold one.

    Raises:
        SubmissionError: when there are absurdly many members.
    """
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise SubmissionError(f"it holds more than {MAX_MEMBERS:,} files")
    return [each for each in members if _is(each, ".ipynb") or _is(each, ".zip")]


def notebooks_in(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> dict[str, bytes]:
    """The notebook that a member is, or those in the zip that it is, by safe names.

    Args:
        archive: the open archive.
        member: one of its `candidates`.
        name: the name to give the notebook.

    Raises:
        SubmissionError: when it is damaged, encrypted, too large, a link, or a zip without a notebook.
    """
    try:
        if _is(member, ".ipynb"):
            return {safe_name(name): _read(archive, member, MAX_NOTEBOOK_BYTES)}
        with zipfile.ZipFile(io.BytesIO(_read(archive, member, MAX_INNER_BYTES))) as inner:
            inside = [each for each in inner.infolist() if _is(each, ".ipynb")][:MAX_NOTEBOOKS]
            found = {safe_name(each.filename): _read(inner, each, MAX_NOTEBOOK_BYTES) for each in inside}
    except DAMAGE as error:
        raise SubmissionError(f"{printable(member.filename)}: {error or type(error).__name__}") from None
    if not found:
        raise SubmissionError(f"{printable(member.filename)}: a zip without a notebook")
    return found


def safe_name(name: str) -> str:
    """A notebook's name without anything that could lead elsewhere.

    >>> safe_name("../../etc/a*b.ipynb")
    'a_b.ipynb'
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem = re.sub(r"[^\w .()+-]", "_", last[: -len(".ipynb")])[:100].strip(" .")
    return f"{stem or 'notebook'}.ipynb"


def printable(name: str) -> str:
    """A name from an archive, for a message."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)[:200]


def _is(member: zipfile.ZipInfo, ending: str) -> bool:
    last = member.filename.rsplit("/", 1)[-1]
    return last.lower().endswith(ending) and not last.startswith("._") and "__MACOSX/" not in member.filename


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """The bytes of a member; its size in the directory is the archive's own claim and not believed."""
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError("a link, not a file")
    with archive.open(member) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"more than {most >> 20} MB")
    return data
