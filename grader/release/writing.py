"""A bundle on disk: a folder and a zip with fixed times, names in order and fixed permissions.

Both appear whole or not at all: they are made beside their place, searched for leaks, and only then moved there. The
zip stores its files uncompressed, because two versions of zlib need not give the same bytes.
"""

import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grader.errors import UsageError
from grader.files import write_whole
from grader.release.bundle import MANIFEST, Bundle, read_manifest

TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say."""


@dataclass(frozen=True)
class Written:
    """Where a bundle went.

    Attributes:
        folder: the unpacked bundle.
        archive: the same as a zip.
        changed: whether either differs from what was there.
    """

    folder: Path
    archive: Path
    changed: bool


def as_zip(bundle: Bundle) -> bytes:
    """The bundle as the bytes of a zip with one folder at the top."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(bundle.files.items()):
            member = zipfile.ZipInfo(f"{bundle.name}/{name}", TIME)
            member.create_system = 3  # Unix, wherever it is made
            member.external_attr = (0o100644 << 16) | 0
            archive.writestr(member, content)
    return buffer.getvalue()


def write_bundle(bundle: Bundle, folder: Path, look: Callable[[Path], object]) -> Written:
    """Write the bundle to `folder`, and as a zip beside it.

    Args:
        bundle: what to write.
        folder: its place; absent, empty, or an unchanged earlier bundle, which is replaced.
        look: called with the folder that holds both before anything is published; what it raises stops the
            writing, and nothing is left behind.

    Raises:
        UsageError: when there is something at that place which is not an unchanged bundle.
    """
    folder = folder.absolute()
    archive = folder.with_name(f"{folder.name}.zip")
    before = _hashes(folder), _hash(archive)
    _refuse_other(folder, archive)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        (part / "bundle").mkdir()
        for name, content in bundle.files.items():
            path = part / "bundle" / name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o644)
        for path in [part / "bundle", *(part / "bundle").rglob("*/")]:
            path.chmod(0o755)
        write_whole(part / "bundle.zip", as_zip(bundle))
        look(part)
        if folder.exists():
            folder.rename(part / "old")
        (part / "bundle").rename(folder)
        (part / "bundle.zip").replace(archive)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Written(folder, archive, before != (_hashes(folder), _hash(archive)))


def is_bundle(folder: Path) -> bool:
    """Whether a folder holds a bundle, changed or not."""
    path = folder / MANIFEST
    return path.is_file() and read_manifest(path.read_bytes()) is not None


def manifest_in(archive: Path) -> dict[str, object] | None:
    """The manifest in a bundle's zip; None where the file is no such zip."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if name.count("/") == 1 and name.endswith(f"/{MANIFEST}")]
            return read_manifest(opened.read(names[0])) if len(names) == 1 else None
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return None


def _refuse_other(folder: Path, archive: Path) -> None:
    if archive.exists() and (not archive.is_file() or manifest_in(archive) is None):
        raise UsageError(f"{archive} is there and is no bundle", "move it away, or choose another place with --to")
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(f"{folder} is no folder", "choose another place with --to")
    if not any(folder.iterdir()):
        folder.rmdir()
        return
    if not is_bundle(folder):
        raise UsageError(f"{folder} is not empty, and holds no bundle", "choose an empty or a new folder with --to")
    manifest = read_manifest((folder / MANIFEST).read_bytes()) or {}
    there = _hashes(folder)
    there.pop(MANIFEST)
    other = sorted({name for name, digest in there.items() if manifest["files"].get(name) != digest})
    if other:
        count = f" and {len(other) - 3} more" if len(other) > 3 else ""
        raise UsageError(
            f"{folder} holds files that are not as the bundle had them: {', '.join(other[:3])}{count}",
            "somebody worked there: move the folder away, or choose another place with --to",
        )


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return {path.relative_to(folder).as_posix(): _hash(path) for path in files}


def _hash(path: Path) -> str:
    if path.is_symlink():
        return "a link"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
