"""Library slices on this machine's disk, written once for each and mounted read-only into sandboxes."""

import contextlib
import fcntl
import functools
import importlib.util
import shutil
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from grader.execution.plan import Library, Plan

FONTS = ".matplotlib"
"""Beside the packages lies matplotlib's list of fonts, where somebody may want it."""

BESIDE = ".beside"
"""Here lie the files that each submission finds copies of in its working folder."""

PARENT: str | None = None
"""Where to put the folders: the system's folder for temporary files where it is None."""
PREFIX, LOCK = "grading-library-", "lock"
_lock = threading.Lock()
_held: list[BinaryIO] = []
_folders: dict[str, Path] = {}


def library_folder(plan: Plan) -> Path:
    """The folder with the plan's library slice, on this machine until `clear`."""
    library = plan.library
    with _lock:
        folder = _folders.get(library.digest)
        if folder is None or not folder.is_dir():
            folder = _folders[library.digest] = write_files(_private_folder() / "library", library.files)
            if library.beside:
                write_files(folder / BESIDE, library.beside)
        if not (folder / FONTS).is_dir() and _wants_fonts(plan):
            write_files(folder / FONTS, font_list())
        return folder


def write_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    """Write files that every user can read: a sandbox becomes one that has no rights here."""
    folder.mkdir()
    folder.chmod(0o755)
    for relative, data in files:
        path = folder / relative
        for parent in [*reversed(path.parents[: len(Path(relative).parts) - 1])]:
            parent.mkdir(exist_ok=True)
            parent.chmod(0o755)
        path.write_bytes(data)
        path.chmod(0o644)
    return folder


def clear() -> None:
    """Remove all folders."""
    with _lock:
        for folder in _folders.values():
            shutil.rmtree(folder.parent, ignore_errors=True)
        _folders.clear()
        for held in _held:
            held.close()
        _held.clear()


def _private_folder() -> Path:
    """A new folder that keeps other users out, locked as long as this process lives.

    Those of graders that were killed are removed at the same time.
    """
    for path in Path(PARENT or tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PARENT))
    held = (folder / f"{LOCK}.new").open("wb")
    fcntl.flock(held, fcntl.LOCK_EX)
    # nobody ever sees it without its lock
    (folder / f"{LOCK}.new").rename(folder / LOCK)
    _held.append(held)
    return folder


def _wants_fonts(plan: Plan) -> bool:
    return any("matplotlib" in cell.source for cell in plan.cells) or _mentions_fonts(plan.library)


@functools.lru_cache(8)
def _mentions_fonts(library: Library) -> bool:
    return "matplotlib" in " ".join(library.imports) or any(b"matplotlib" in data for _, data in library.files)


@functools.cache
def font_list() -> tuple[tuple[str, bytes], ...]:
    """matplotlib's list of fonts, made once here instead of in every new home, where it takes seconds."""
    if importlib.util.find_spec("matplotlib") is None:
        return ()
    import matplotlib.font_manager

    folder = Path(matplotlib.get_cachedir())
    version = matplotlib.font_manager.FontManager.__version__
    path = folder / f"fontlist-v{version}.json"
    return ((path.name, path.read_bytes()),) if path.is_file() else ()
