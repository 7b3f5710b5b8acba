"""Pages to look things up that are made while the book is built: the index, the status, the help of `course`."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from grader.authoring.page import Page, chapter_number
from grader.book.executed import Run, code_cells
from grader.book.reference import Part
from grader.course import Chapter, Course

WORDS_A_MINUTE = 200
"""Reading speed for technical prose. Code is not counted: it is worked through, not read."""

UNIT = re.compile(r"(?<=\d) (?=[a-z])")
"""What parts an amount from its unit."""

LINK = re.compile(r"\[[^\[\]]*\]\(#([^()\s]+)\)")
TERM = re.compile(r"^(?P<term>[^\s:%#\-].*)\n: (?P<text>.*(?:\n  .*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Built:
    """A published chapter: its page as its author wrote it, as a notebook for the book, and its run."""

    chapter: Chapter
    page: Page
    notebook: Any
    run: Run

    @property
    def minutes(self) -> int:
        """How long one reads."""
        words = sum(len(cell.source.split()) for cell in self.notebook.cells if cell.cell_type == "markdown")
        return max(1, round(words / WORDS_A_MINUTE))


def commit_of(root: Path) -> str:
    """The short name of the commit the course is at, a plus when there are changes; empty outside of git."""
    return _git(root, "describe", "--always", "--dirty=+", "--exclude=*")


def commit_day(root: Path) -> str:
    """The day of that commit, `2026-11-21`; empty outside of git. The clock is not asked: two builds say the same."""
    return _git(root, "log", "-1", "--format=%cs")


def _git(root: Path, *words: str) -> str:
    if shutil.which("git") is None:
        return ""
    answer = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def duration(seconds: float) -> str:
    """Coarse, so that two builds say the same.

    >>> duration(3.2), duration(47.0), duration(200.0)
    ('under 10 seconds', 'about 50 seconds', 'about 3 minutes')
    """
    if seconds < 10:
        return "under 10 seconds"
    return f"about {round(seconds, -1):.0f} seconds" if seconds < 95 else f"about {seconds / 60:.0f} minutes"


def short_duration(seconds: float) -> str:
    """The same for a table.

    >>> short_duration(3.2), short_duration(47.0), short_duration(200.0)
    ('< 10 s', '50 s', '3 min')
    """
    words = duration(seconds).removeprefix("about ").replace("under", "<")
    return re.sub(r" (s|min)\w*$", r" \1", words)


def index_page(glossary: str, built: list[Built], parts: list[Part]) -> str:
    """Every term, exercise and name of the library, by the alphabet, with the places where it is treated."""
    from grader.authoring.book_form import exercise_name

    rows: set[tuple[str, str]] = set()
    for found in TERM.finditer(glossary):
        links = [f"[](#{label})" for label in dict.fromkeys(LINK.findall(found["text"]))]
        rows.add((found["term"].strip(), ", ".join(links) or "[glossary](/glossary.md)"))
    for each in built:
        for exercise in each.page.exercises:
            rows.add((exercise.title, f"[exercise {exercise.number}](#{exercise_name(exercise.number)})"))
    for part in parts:
        place = f"library, chapter {chapter_number(part.chapter)}" if part.chapter else "library"
        rows |= {(f"[`{entry.name}`](#{entry.label})", place) for entry in part.entries}
    by_letter: dict[str, list[str]] = {}
    for name, places in sorted(rows, key=lambda row: (_sort_key(row[0]), row)):
        letter = _sort_key(name)[:1].upper()
        by_letter.setdefault(letter if letter.isalpha() else "0-9", []).append(f"- {name}: {places}")
    letters = " · ".join(f"[{letter}](#index-{letter.lower()})" for letter in by_letter)
    kinds = "Terms of the glossary, exercises, and names of the library, each with where it is worked out."
    texts = ["# Index", kinds, letters]
    for letter, lines in by_letter.items():
        texts.append(
            f"(index-{letter.lower()})=\n## {letter}\n\n::::{{div}} book-index\n" + "\n".join(lines) + "\n::::"
        )
    return "\n\n".join(texts) + "\n"


def _sort_key(name: str) -> str:
    """What stands in the alphabet: no article, no markup.

    >>> _sort_key("A dense index"), _sort_key("[`top_k`](#library-top-k)")
    ('dense index', 'topk')
    """
    words = re.sub(r"[^\w ]|_", "", re.sub(r"\]\(.*", "", name)).casefold()
    return re.sub(r"^(?:an?|the) ", "", words) or name


def worth(chapters: Iterable[Chapter]) -> str:
    """The points of chapters in words: "300 points and 10 bonus points"."""
    rows = list(chapters)
    points, bonus = (sum(row.points for row in rows if row.bonus is kind) for kind in (False, True))
    return f"{points:g} points" + (f" and {bonus:g} bonus points" if bonus else "")


def status_page(course: Course, built: list[Built]) -> str:
    """What was built, of what, and how long each chapter takes to read, to work and to run."""
    from grader.authoring.targets import book_docname

    about = course.settings["course"]
    commit, day = commit_of(course.root), commit_day(course.root)
    known = [*course.chapters, *course.settings.get("planned", [])]
    lines = [
        "# Status",
        "",
        f"- Edition {about['edition']}" + (f", commit {commit} of {day}" if commit else ""),
        f"- {len(built)} of {len(known)} chapters are in this book",
        f"- {sum(len(each.page.exercises) for each in built)} exercises, " + worth(each.chapter for each in built),
        f"- every cell of every chapter ran without an error, with Python {sys.version.split()[0]}",
        "",
        "<!--downloads-->",
        "",
        "## Chapters",
        "",
        "| chapter | read | work | run | exercises | points |",
        "|---|---|---|---|---|---|",
    ]
    for each in built:
        chapter = each.chapter
        hours = f"{chapter.hours:g} h" if chapter.hours else ""
        times = UNIT.sub("\N{NO-BREAK SPACE}", f"{each.minutes} min | {hours} | {short_duration(each.run.seconds)}")
        lines.append(
            f"| {chapter_number(chapter)} · [{chapter.title}](/{book_docname(chapter)}.ipynb) "
            f"| {times} | {len(each.page.exercises)} | {chapter.points:g}{' (bonus)' if chapter.bonus else ''} |"
        )
    lines += [
        "",
        "*Run* is the processor time of all cells with right answers in place, on one core, measured when the",
        "chapter was last executed.",
        "",
        "## Versions",
        "",
        "What the chapters and the library import, and what made these pages:",
        "",
    ]
    lines += [f"- {name} {version}" for name, version in versions(course, built)]
    return "\n".join(lines) + "\n"


def versions(course: Course, built: list[Built]) -> list[tuple[str, str]]:
    """The distributions that the published chapters and their library import, and the makers of the book."""
    modules = {path for each in built for path in course.library_files(each.chapter) if path.suffix == ".py"}
    sources = {cell.source for each in built for cell in code_cells(each.notebook)}
    sources |= {(course.library_root / path).read_text(encoding="utf-8") for path in modules}
    names = set()
    for source in sources:
        for node in ast.walk(_parsed(source)):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    known = metadata.packages_distributions()
    names -= set(course.settings["library"]["package"].split())
    found = {distribution for name in names for distribution in known.get(name, [])[:1]}
    found |= {"jupyter-book", "myst-nb", "Sphinx", "sphinx-book-theme"}
    return [(name, metadata.version(name)) for name in sorted(found, key=str.casefold)]


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:
        # a cell with a line of IPython's own
        return ast.Module(body=[], type_ignores=[])


def command_page() -> str:
    """What `course --help` and the help of every command say, as the commands themselves say it."""
    # the layer above knows every command by name; so is it known here
    group = importlib.import_module("grader.cli").cli
    context = click.Context(group, info_name="course")
    texts = ["# The course command", _prose(group.help)]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = click.Context(command, info_name=name, parent=context)
        usage = " ".join([inner.command_path, *command.collect_usage_pieces(inner)])
        texts += [f"(course-{name})=\n## {inner.command_path}", f"```text\n{usage}\n```", _prose(command.help)]
        records = [
            record for each in command.get_params(inner) if (record := each.get_help_record(inner)) and record[1]
        ]
        texts.append("\n".join(f"`{declared}`\n: {_escaped(words)}\n" for declared, words in records).rstrip())
    return "\n\n".join(text for text in texts if text) + "\n"


def _prose(text: str | None) -> str:
    """Help for a terminal as Markdown; a paragraph behind click's mark keeps its lines."""
    paragraphs = []
    for block in (text or "").strip("\n").split("\n\n"):
        if block.startswith("\b"):
            paragraphs.append("```text\n" + block.removeprefix("\b").strip("\n") + "\n```")
        else:
            paragraphs.append(_escaped(block))
    return "\n\n".join(paragraphs)


def _escaped(text: str) -> str:
    from grader.book.docstrings import escaped

    return "\n".join(escaped(line.strip()) for line in text.split("\n"))
