"""Writing a file in one step: a reader sees the old one or the new one, and an error leaves the old."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    r"""Write `content` to `path`, making its folder. Text is UTF-8, its lines end in \n on every system.

    Args:
        path: the file; what was there before stays until the new file is whole.
        content: text or bytes.
        mode: permissions, set before the file gets its name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    number, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        Path(beside).chmod(mode)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
