"""Regular files only: what a student made is opened without following a link, and read up to a size."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from grader.errors import SubmissionError

MAX_NOTEBOOK_BYTES = 50 << 20
"""A notebook with many saved figures has a few megabytes; JSON of this size is read in about a second."""


def read_regular(path: Path, most: int | None = None) -> tuple[bytes, datetime]:
    """The bytes of a regular file and the time when it came to lie here.

    The inode's change time is the kernel's: a modification time comes with an archive and is the student's
    to choose.

    Raises:
        SubmissionError: when it is a link, a device, empty, too large, or cannot be read.
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
