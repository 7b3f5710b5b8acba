"""What a page can refer to: sections, equations, figures, tables and exercises, with their numbers."""

import re
from collections import Counter
from dataclasses import dataclass

from grader.authoring.markup import Directive, Text, inlines
from grader.authoring.page import Page, chapter_number, read_page
from grader.authoring.problems import Problems
from grader.course import Chapter, Course

TABLES_AND_FIGURES = {"figure": "Figure", "table": "Table"}


@dataclass(frozen=True)
class Target:
    """One thing with a label.

    Attributes:
        kind: `section`, `equation`, `figure`, `table` or `exercise`.
        words: what a reference to it says: "Figure 1.2", "(1.3)", a section's title.
    """

    label: str
    kind: str
    words: str
    line: int
    chapter: Chapter

    @property
    def number(self) -> str:
        """What stands for `%s` or `{number}` in a reference: "1.2", "(1.3)", a section's title."""
        return self.words if self.kind == "section" else self.words.split(" ", 1)[-1]

    def named(self, words: str) -> str:
        """What a reference with `words` of its own says; `words` may be empty."""
        return words.replace("%s", self.number).replace("{number}", self.number) or self.words


def targets_of(page: Page, problems: Problems | None = None) -> dict[str, Target]:
    """Every target of a page by its label, numbered in page order; labels used twice are reported."""
    found: dict[str, Target] = {}
    counts: Counter[str] = Counter()
    chapter = chapter_number(page.chapter)

    def add(label: str, kind: str, words: str, line: int) -> None:
        if label in found and problems is not None:
            problem = f"the label {label!r} is already used in line {found[label].line}"
            problems.add(page.path, line, problem, "labels are unique in a chapter: rename one")
        found.setdefault(label, Target(label, kind, words, line, page.chapter))

    for block in page.blocks():
        if isinstance(block, Directive):
            key = "name" if block.name in TABLES_AND_FIGURES else "label"
            label, line = block.options.get(key), block.option_lines.get(key, block.line)
            if block.name in TABLES_AND_FIGURES:
                counts[block.name] += 1
                words = f"{TABLES_AND_FIGURES[block.name]} {chapter}.{counts[block.name]}"
                if label:
                    add(label, block.name, words, line)
            elif block.name == "math" and label:
                counts["equation"] += 1
                add(label, "equation", f"({chapter}.{counts['equation']})", line)
            elif block.name == "exercise" and label:
                add(label, "exercise", f"Exercise {block.options.get('number', '')}", line)
        elif isinstance(block, Text):
            for inline in inlines(block):
                if inline.kind == "display" and inline.match["equation"]:
                    counts["equation"] += 1
                    words = f"({chapter}.{counts['equation']})"
                    add(inline.match["equation"], "equation", words, inline.line)
                elif inline.kind == "target":
                    add(
                        inline.match["target"],
                        "section",
                        _heading_after(block, inline.match.end()),
                        inline.line,
                    )
    return found


def _heading_after(block: Text, end: int) -> str:
    heading = re.match(r"\s*#+\s+(.+)", block.text[end:])
    return heading[1].strip() if heading else ""


class References:
    """Finds targets for one page: its own first, then those of the other chapters."""

    def __init__(self, course: Course, page: Page) -> None:
        self.course = course
        self.page = page
        self.own = targets_of(page)
        self._others: dict[str, Target] | None = None

    def find(self, label: str) -> Target | None:
        """The target with this label, or None."""
        return self.own.get(label) or self._elsewhere().get(label)

    def href(self, target: Target) -> str:
        """Where a link in the student notebook leads."""
        if target.chapter.id == self.page.chapter.id:
            return f"#{target.label}"
        return f"{self.chapter_href(target.chapter)}#{target.label}"

    def chapter_href(self, chapter: Chapter) -> str:
        """Another chapter's notebook, seen from this one."""
        return f"../{chapter.id}/{chapter.page.stem}.ipynb"

    def chapter_of(self, path: str) -> Chapter | None:
        """The chapter that a link to a page (`../02-x/x.md`) or a `{doc}` (`02-x`) means."""
        for chapter in self.course.chapters:
            if path in (chapter.id, f"../{chapter.id}/{chapter.page.name}", f"/{book_docname(chapter)}"):
                return chapter
        return None

    def _elsewhere(self) -> dict[str, Target]:
        if self._others is None:
            self._others = {}
            for chapter in self.course.chapters:
                if chapter.id != self.page.chapter.id and chapter.page.is_file():
                    page = read_page(self.course, chapter, Problems(self.course.root))
                    self._others = {**(targets_of(page) if page else {}), **self._others}
        return self._others


def book_docname(chapter: Chapter) -> str:
    """The chapter's page in the book's sources, without suffix: they are laid out like `chapters/`."""
    return f"chapters/{chapter.id}/{chapter.page.stem}"
