"""The course on disk: `course.toml`, where things are, and which library modules a chapter may use."""

import functools
import json
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from grader.errors import AuthoringError, NoSuchChapter, UsageError


@dataclass(frozen=True)
class Budget:
    """What one submission may use while it is graded. The defaults are in course.toml's [budget].

    Attributes:
        cell_seconds: wall time of one of the student's cells.
        check_seconds: wall time of one exercise's probes.
        total_seconds: wall time of the whole submission, restarts included.
        memory_mb: memory of the whole process tree.
        processes: processes and threads at one time.
        files_mb: size of any file, and of all that is written.
        output_kb: bytes of output that are kept of one submission.
    """

    cell_seconds: float = 60
    check_seconds: float = 20
    total_seconds: float = 600
    memory_mb: int = 4096
    processes: int = 128
    files_mb: int = 256
    output_kb: int = 2048


@dataclass(frozen=True)
class Chapter:
    """One row of course.toml."""

    id: str
    title: str
    points: float
    hours: float
    owns: tuple[str, ...]
    needs: tuple[str, ...]
    """Patterns of the library's files that are given on request only, and that this chapter asks for."""
    budget: Budget
    folder: Path
    """`solutions/ID`, where the chapter is written."""
    bonus: bool = False
    """Whether the points come on top: they count for a student, and in no maximum over chapters."""

    @property
    def heading(self) -> str:
        """The title where points stand beside it: it says so when they are a bonus."""
        return f"{self.title} (bonus)" if self.bonus else self.title

    @property
    def worth(self) -> str:
        """The points in words: "20 points", or "10 bonus points"."""
        return f"{self.points:g} {'bonus ' if self.bonus else ''}point{'' if self.points == 1 else 's'}"

    @property
    def page(self) -> Path:
        """The MyST source: named after the chapter without its number."""
        return self.folder / f"{self.id.split('-', 1)[1]}.md"

    @property
    def hidden(self) -> Path:
        """The hidden checks."""
        return self.folder / "hidden.py"

    @property
    def mistakes(self) -> Path:
        """Wrong answers that must be caught."""
        return self.folder / "mistakes.py"

    @property
    def alternatives(self) -> Path:
        """Right answers written another way."""
        return self.folder / "alternatives.py"

    @property
    def figures(self) -> Path:
        """Images that the page shows and no cell draws."""
        return self.folder / "figures"


@dataclass(frozen=True)
class Course:
    """The course, read from the `course.toml` in `root`."""

    root: Path
    settings: dict[str, Any]
    chapters: tuple[Chapter, ...]

    def chapter(self, chapter_id: str) -> Chapter:
        """The chapter with this id.

        Raises:
            NoSuchChapter: with the list of those there are.
        """
        for chapter in self.chapters:
            if chapter.id == chapter_id:
                return chapter
        known = ", ".join(chapter.id for chapter in self.chapters)
        raise NoSuchChapter(f"there is no chapter {chapter_id!r}", f"course.toml lists {known}")

    @property
    def build(self) -> Path:
        """Everything made by a command and not committed."""
        return self.root / "build"

    def source_notebook(self, chapter: Chapter) -> Path:
        """nbgrader's source notebook, with solutions and hidden tests: made by `course build`, never published."""
        return self.build / "source" / chapter.id / f"{chapter.page.stem}.ipynb"

    def student_notebook(self, chapter: Chapter) -> Path:
        """The student notebook, committed."""
        return self.root / "chapters" / chapter.id / f"{chapter.page.stem}.ipynb"

    @property
    def library_root(self) -> Path:
        """The folder that holds the library's package."""
        return self.root / str(self.settings["library"]["root"])

    def library_slice(self, chapter: Chapter) -> list[str]:
        """The modules that `chapter` may import: the floor and what earlier chapters built."""
        allowed = list(self.settings["library"]["floor"])
        for earlier in self.chapters:
            if earlier.id == chapter.id:
                break
            allowed += earlier.owns
        return allowed

    def has_module(self, name: str) -> bool:
        """Whether the library has a module of this dotted name."""
        path = self.library_root / name.replace(".", "/")
        return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()

    def library_files(self, chapter: Chapter | None = None) -> list[Path]:
        """The library's files, relative to `library_root`, that `chapter` may see (all of them without a chapter).

        A module is taken when a pattern of the slice names it, `pkg.*` standing for everything below `pkg`. Data
        files go with the package that holds them, but for those that course.toml gives on request: large ones would
        travel with every submission of every chapter.
        """
        package = self.library_root / str(self.settings["library"]["package"])
        patterns = [] if chapter is None else self.library_slice(chapter)
        on_request = self.settings["library"].get("on_request", [])
        files = []
        for path in sorted(package.rglob("*")):
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            relative = path.relative_to(self.library_root)
            if chapter is None:
                taken = True
            elif path.suffix == ".py":
                taken = module_matches(module_name(relative), patterns)
            else:
                taken = not _matches(relative, on_request) or _matches(relative, chapter.needs)
            if taken:
                files.append(relative)
        return files


def _matches(relative: Path, patterns: Iterable[str]) -> bool:
    return any(relative.match(pattern) for pattern in patterns)


def module_name(relative: Path) -> str:
    """The dotted name of a module file.

    >>> module_name(Path("byhand/corpora/__init__.py"))
    'byhand.corpora'
    """
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_matches(name: str, patterns: list[str]) -> bool:
    """Whether one of the patterns (`a.b` or `a.b.*`) names the module.

    >>> module_matches("byhand.corpora.stories", ["byhand", "byhand.corpora.*"])
    True
    """
    return any(name == pattern or (pattern.endswith(".*") and name.startswith(pattern[:-1])) for pattern in patterns)


def find_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` that holds a course.toml; `$COURSE_ROOT` wins where it is set."""
    import os

    if start is None and os.environ.get("COURSE_ROOT"):
        return Path(os.environ["COURSE_ROOT"]).resolve()
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "course.toml").is_file():
            return folder
    raise UsageError(f"no course.toml in {here} or above it", "run inside a course, or set COURSE_ROOT to one")


@functools.cache
def load_course(root: Path) -> Course:
    """Read and check `root/course.toml`.

    Raises:
        AuthoringError: when the file is missing, is not TOML, or breaks its schema.
    """
    path = root / "course.toml"
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AuthoringError(path, None, "the file is missing", "run inside a course") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AuthoringError(path, _line_in(str(error)), f"not valid TOML: {error}", "correct the line") from None
    _check_schema(path, settings)
    default = settings.get("budget", {})
    chapters = tuple(
        Chapter(
            id=row["id"],
            title=row["title"],
            points=row["points"],
            hours=row.get("hours", 0),
            owns=tuple(row.get("owns", ())),
            needs=tuple(row.get("needs", ())),
            budget=Budget(**{**default, **row.get("budget", {})}),
            folder=root / "solutions" / row["id"],
            bonus=row.get("bonus", False),
        )
        for row in settings["chapters"]
    )
    return Course(root, settings, chapters)


def _line_in(message: str) -> int | None:
    import re

    found = re.search(r"at line (\d+)", message)
    return int(found[1]) if found else None


def _jsonschema() -> Any:
    """jsonschema without one of its formats, whose grammar takes a second and a half to build at each start."""
    grammar = "rfc3987_syntax"
    absent = grammar not in sys.modules
    if absent:
        sys.modules[grammar] = None  # type: ignore[assignment]  # an import of it then fails, as where it is missing
    try:
        import jsonschema
    finally:
        if absent:
            del sys.modules[grammar]
    return jsonschema


def _check_schema(path: Path, settings: dict[str, Any]) -> None:
    jsonschema = _jsonschema()
    schema = json.loads((Path(__file__).parent / "course.schema.json").read_text())
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(settings))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "the file"
        raise AuthoringError(path, None, f"{where}: {error.message}", "grader/course.schema.json describes each key")
    ids = [row["id"] for row in settings["chapters"]]
    for chapter_id in ids:
        if ids.count(chapter_id) > 1:
            raise AuthoringError(path, None, f"two chapters have the id {chapter_id!r}", "give each its own")


BUDGET_KEYS = tuple(field.name for field in fields(Budget))
