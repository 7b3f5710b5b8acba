"""What a student gets: notebooks, the part of the library they may import, requirements, a page to start from.

A bundle is a mapping of names to bytes, worked out from the sources alone: the same sources give the same bundle.
Nothing here writes; `grader.release.writing` does.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.authoring.building import stale
from grader.book.secrets import published_chapters
from grader.course import Chapter, Course
from grader.errors import CourseError
from grader.release.library import library_part, library_settings, slice_version
from grader.release.readme import readme
from grader.release.requirements import imported_packages, requirement_lines

MANIFEST = "manifest.json"
FORMAT = "course bundle 1"
LICENCES = ("LICENSE", "LICENSE.md", "LICENSE.txt")

REQUIREMENTS = """\
# {title}, edition {edition}, through {through}.
# Everything the notebooks need, in the versions they are tested with. In this folder:
#   python -m pip install -r requirements.txt
{constrained}{lines}
./lib
"""


@dataclass(frozen=True)
class Bundle:
    """A bundle, not yet written.

    Attributes:
        name: of its folder and its zip.
        through: the id of its last chapter.
        files: contents by place below the folder, the manifest among them.
    """

    name: str
    through: str
    files: Mapping[str, bytes]


def make_bundle(course: Course, through: str, notes: str = "") -> Bundle:
    """The bundle of the chapters up to and including `through`.

    Args:
        course: the course.
        through: a chapter's id.
        notes: Markdown of this class (deadlines, where to hand in, where to ask) for the page to start from.

    Raises:
        NoSuchChapter: for an id that is not in course.toml.
        AuthoringError: when a source has a mistake.
        CourseError: when a committed notebook is stale, or an import belongs to nothing that is installed.
    """
    chapters = published_chapters(course, through)
    _refuse_stale(course, chapters)
    notebooks = {chapter.id: course.student_notebook(chapter).read_bytes() for chapter in chapters}
    library = library_part(course, chapters)
    files: dict[str, bytes] = {f"lib/{name}": content for name, content in library.items()}
    for chapter in chapters:
        files[notebook_place(chapter)] = notebooks[chapter.id]
        files.update(_figures(chapter))
    for name in LICENCES:
        if (course.root / name).is_file():
            files[name] = (course.root / name).read_bytes()
    constraints = course.root / "constraints.txt"
    if constraints.is_file():
        files["constraints.txt"] = constraints.read_bytes()
    files["requirements.txt"] = _requirements(course, chapters, notebooks, library).encode()
    files["README.md"] = readme(course, chapters, notes).encode()
    files[MANIFEST] = _manifest(course, chapters, files)
    name = f"{course.settings['course']['slug']}-{through}"
    return Bundle(name, through, dict(sorted(files.items())))


def notebook_place(chapter: Chapter) -> str:
    """Where a chapter's notebook lies in a bundle."""
    return f"chapters/{chapter.id}/{chapter.page.stem}.ipynb"


def read_manifest(text: str | bytes) -> dict[str, Any] | None:
    """The manifest of a bundle; None for anything else."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("files"), dict):
        return None
    return found


def _refuse_stale(course: Course, chapters: tuple[Chapter, ...]) -> None:
    words = [line for line in stale(course, chapters) if line.startswith("stale:")]
    if words:
        raise CourseError("\n".join(words), "run `course build`, look at what changed, and commit it")


def _figures(chapter: Chapter) -> dict[str, bytes]:
    """The chapter's images. Notebooks carry those they show; a cell that opens a file finds it as in the book."""
    if not chapter.figures.is_dir():
        return {}
    paths = sorted(path for path in chapter.figures.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {
        f"chapters/{chapter.id}/figures/{path.relative_to(chapter.figures).as_posix()}": path.read_bytes()
        for path in paths
    }


def _requirements(
    course: Course, chapters: tuple[Chapter, ...], notebooks: Mapping[str, bytes], library: Mapping[str, bytes]
) -> str:
    cells = [
        "".join(cell["source"])
        for notebook in notebooks.values()
        for cell in json.loads(notebook)["cells"]
        if cell["cell_type"] == "code"
    ]
    modules = [content.decode() for name, content in library.items() if Path(name).suffix == ".py"]
    packages = imported_packages([*cells, *modules]) - {str(course.settings["library"]["package"])}
    about = course.settings["course"]
    return REQUIREMENTS.format(
        title=about["title"],
        edition=about["edition"],
        through=chapters[-1].id,
        constrained="-c constraints.txt\n" if (course.root / "constraints.txt").is_file() else "",
        lines="\n".join(requirement_lines(packages, library_settings(course).get("dependencies", []), course.root)),
    )


def _manifest(course: Course, chapters: tuple[Chapter, ...], files: Mapping[str, bytes]) -> bytes:
    """What the bundle is and the hash of every other file. No times and no commit: a tree may be dirty."""
    about = course.settings["course"]
    manifest = {
        "format": FORMAT,
        "course": about["title"],
        "slug": about["slug"],
        "edition": about["edition"],
        "through": chapters[-1].id,
        "chapters": [
            {
                "id": chapter.id,
                "title": chapter.title,
                "points": chapter.points,
                **({"bonus": True} if chapter.bonus else {}),
                "hours": chapter.hours,
                "notebook": notebook_place(chapter),
            }
            for chapter in chapters
        ],
        "library": {
            "package": course.settings["library"]["package"],
            "version": slice_version(course, chapters[-1]),
        },
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    return (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
