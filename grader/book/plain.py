"""The same pages with Sphinx alone: `python -m grader.book.plain SOURCES FOLDER` writes a project without Jupyter Book.

Jupyter Book 1 is in maintenance. What it adds to Sphinx is a table of contents in a file and a list of settings; here
both are written out, so that the day it cannot be installed costs nothing but this module's output. Then
`sphinx-build -W -n FOLDER OUTPUT` makes the pages, with whichever Sphinx, myst-nb and sphinx-book-theme there are.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

WITHOUT = ("jupyter_book", "sphinx_external_toc", "sphinx_comments")
"""Extensions that a table of contents in a file needs, or that only Jupyter Book brings."""


def write_project(sources: Path, folder: Path) -> None:
    """Copy the book's sources to `folder`, with a conf.py and with the table of contents in the pages themselves.

    Args:
        sources: `build/book/src`, as `course book` leaves it.
        folder: an empty folder, or one from an earlier call.
    """
    import yaml

    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sources, folder, ignore=shutil.ignore_patterns("_toc.yml", "_config.yml", "student"))
    for student in sources.rglob("student"):
        # for download, not pages
        shutil.copytree(student, folder / student.relative_to(sources))
    layout = yaml.safe_load((sources / "_toc.yml").read_text(encoding="utf-8"))
    settings = yaml.safe_load((sources / "_config.yml").read_text(encoding="utf-8"))
    (folder / "conf.py").write_text(_conf(settings), encoding="utf-8")
    _append(folder, layout["root"], [_toctree(part["caption"], part["chapters"], "") for part in layout["parts"]])
    for part in layout["parts"]:
        for page in part["chapters"]:
            if below := page.get("sections"):
                _append(folder, page["file"], [_toctree("", below, "/")])


def _conf(settings: dict[str, Any]) -> str:
    values = dict(settings["sphinx"]["config"])
    values["extensions"] = [name for name in values["extensions"] if name not in WITHOUT]
    values |= {
        "project": settings["title"],
        "author": settings["author"],
        "copyright": settings["copyright"],
        "html_theme": "sphinx_book_theme",
        "html_title": settings["title"],
        "nb_execution_mode": settings["execute"]["execute_notebooks"],
        "nb_output_stderr": settings["execute"]["stderr_output"],
        "myst_enable_extensions": settings["parse"]["myst_enable_extensions"],
        "numfig": True,
        "exclude_patterns": ["**/student/**"],
        "nitpicky": True,
    }
    values["nb_mime_priority_overrides"] = [tuple(row) for row in values["nb_mime_priority_overrides"]]
    return "".join(f"{name} = {value!r}\n" for name, value in sorted(values.items()))


def _toctree(caption: str, pages: list[dict[str, Any]], start: str) -> str:
    lines = ["```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), ""]
    for page in pages:
        place = f"{start}{page['file']}"
        lines.append(f"{page['title']} <{place}>" if "title" in page else place)
    return "\n".join([*lines, "```"])


def _append(folder: Path, docname: str, toctrees: list[str]) -> None:
    page = folder / f"{docname}.md"
    page.write_text("\n\n".join([page.read_text(encoding="utf-8").rstrip(), *toctrees, ""]), encoding="utf-8")


if __name__ == "__main__":
    write_project(Path(sys.argv[1]), Path(sys.argv[2]))
