"""The library as students get it: the modules they may import, as a package that pip can install."""

import re
import tomllib
from typing import Any

from grader.book.secrets import library_of
from grader.course import Chapter, Course
from grader.errors import AuthoringError

VERSION = re.compile(r'^version\s*=\s*"(?P<version>[^"]+)"[^\n]*$', re.MULTILINE)

WITHOUT_PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{package}"
version = "{edition}"

[tool.setuptools.packages.find]
include = ["{package}*"]

[tool.setuptools.package-data]
"*" = ["**/*"]
"""


def library_part(course: Course, chapters: tuple[Chapter, ...]) -> dict[str, bytes]:
    """The files of `lib/` in a bundle of these chapters, by their place there.

    Every file of the package is the course's own, to the byte, as a submission finds it in the sandbox. The project
    file alone differs: its version says through which chapter the package goes, so that `pip show` tells.
    """
    files = {path.as_posix(): (course.library_root / path).read_bytes() for path in library_of(course, chapters)}
    return {**files, "pyproject.toml": _project(course, chapters[-1]).encode()}


def library_settings(course: Course) -> dict[str, Any]:
    """The `[project]` table of the library's distribution; a minimal one where the course has none."""
    found: dict[str, Any] = tomllib.loads(_source(course))["project"]
    return found


def slice_version(course: Course, last: Chapter) -> str:
    """The version of the library without the modules of `last` and later ones.

    `0.1.0+before.3.transformer`, a local version: pip takes it for 0.1.0, and shows the rest.
    """
    parts = re.split(r"[^a-z0-9]+", last.id.lower())
    # in the form that pip makes of a version: numbers without leading zeros
    part = ".".join(str(int(part)) if part.isdecimal() else part for part in parts if part)
    return f"{library_settings(course)['version']}+before.{part}"


def _project(course: Course, last: Chapter) -> str:
    version = f'version = "{slice_version(course, last)}"'
    return VERSION.sub(lambda found: version, _source(course), count=1)


def _source(course: Course) -> str:
    path = course.library_root / "pyproject.toml"
    if not path.is_file():
        about = course.settings["course"]
        return WITHOUT_PROJECT.format(package=course.settings["library"]["package"], edition=about["edition"])
    text = path.read_text(encoding="utf-8")
    found = VERSION.search(text)
    try:
        version = tomllib.loads(text)["project"]["version"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise AuthoringError(path, None, f"no version can be read: {error}", 'write version = "…"') from None
    if found is None or found["version"] != version:
        raise AuthoringError(path, None, "the first version line is not the project's", 'write version = "…"')
    return text
