"""A chapter's page in memory: its cells in order, and the exercises they make up."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.authoring.markup import Block, Directive, blocks, walk
from grader.authoring.problems import Problems
from grader.course import Chapter, Course

ROLES = ("answer", "checks", "essay")
OTHER_TAGS = ("hide-input", "hide-output", "experiment")
"""`experiment` marks a cell that measures and that no exercise needs: grading passes over it."""
POINTS = re.compile(r"^points-(\d+(?:\.\d+)?)$")


@dataclass(frozen=True)
class Cell:
    """One cell of the page.

    Attributes:
        kind: `code` or `markdown`.
        source: its text, solution included.
        line: the line of the page on which `source` begins.
        opening: the line of the fence or `+++` that opens it, where problems of its options are reported.
        options: what is written as `:key:` lines or in the `+++` line, `label` and `tags` among it.
    """

    kind: str
    source: str
    line: int
    opening: int
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str | None:
        """The cell's `:label:`."""
        label = self.options.get("label")
        return None if label is None else str(label)

    @property
    def tags(self) -> tuple[str, ...]:
        """The cell's `:tags:`."""
        tags = self.options.get("tags") or []
        return tuple(str(tag) for tag in (tags if isinstance(tags, list) else str(tags).split(",")))

    @property
    def role(self) -> str | None:
        """`answer`, `checks`, `essay`, or None for a cell that only shows."""
        return next((tag for tag in self.tags if tag in ROLES), None)

    @property
    def points(self) -> float | None:
        """N of the tag `points-N`."""
        return next((float(match[1]) for tag in self.tags if (match := POINTS.match(tag))), None)

    def blocks(self) -> list[Block]:
        """The blocks of a Markdown cell."""
        return blocks(self.source, self.line)


@dataclass(frozen=True)
class Exercise:
    """One graded exercise: its card, its answer and its visible checks.

    Attributes:
        label: the label of card and answer cell; nbgrader's grade id of the answer.
        number: as printed, "1.3".
        points: from the checks cell (from the answer itself for an essay).
        builds_on: the numbers of exercises whose answers this one uses.
        text: the task, in MyST.
        answer: the answer cell with its solution (an essay's model answer).
        checks: the visible checks; empty for an essay, which a person grades.
        line: where the card begins.
    """

    label: str
    number: str
    title: str
    points: float
    difficulty: int
    importance: int
    minutes: int
    builds_on: tuple[str, ...]
    text: str
    answer: str
    checks: str
    line: int

    @property
    def essay(self) -> bool:
        """Whether a person grades the answer."""
        return not self.checks

    @property
    def facts(self) -> str:
        """One line under the title.

        >>> Exercise("a", "1.2", "A", 2.0, 2, 5, 15, ("1.1",), "", "", "x", 1).facts
        'difficulty ●●○○○ · 15 minutes · 2 points · builds on 1.1'
        """
        dots = "●" * self.difficulty + "○" * (5 - self.difficulty)
        parts = [f"difficulty {dots}", counted(self.minutes, "minute"), counted(self.points, "point")]
        if self.builds_on:
            parts.append(f"builds on {', '.join(self.builds_on)}")
        return " · ".join(parts)


def counted(number: float, noun: str) -> str:
    """A number with its noun.

    >>> counted(1.0, "point"), counted(2.5, "point")
    ('1 point', '2.5 points')
    """
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class Page:
    """One chapter's page, read."""

    chapter: Chapter
    title: str
    cells: tuple[Cell, ...]
    exercises: tuple[Exercise, ...]

    @property
    def path(self) -> Path:
        """The Markdown file."""
        return self.chapter.page

    def exercise(self, label: str) -> Exercise:
        """The exercise with this label."""
        return next(exercise for exercise in self.exercises if exercise.label == label)

    def blocks(self) -> Iterator[Block]:
        """Every block of the Markdown cells, nested ones included."""
        for cell in self.cells:
            if cell.kind == "markdown":
                yield from walk(cell.blocks())

    def directives(self, name: str) -> list[Directive]:
        """Every directive of this name, nested ones included."""
        return [block for block in self.blocks() if isinstance(block, Directive) and block.name == name]


def chapter_number(chapter: Chapter) -> int:
    """The number in front of the chapter's id."""
    return int(chapter.id.split("-", 1)[0])


def read_page(course: Course, chapter: Chapter, problems: Problems) -> Page | None:
    """Read the page; None where it cannot be read at all. What is wrong goes to `problems`."""
    from grader.authoring.exercises import exercises_of
    from grader.authoring.reading import read_cells

    cells = read_cells(course, chapter, problems)
    if cells is None:
        return None
    page = Page(chapter, _title(cells, chapter, problems), tuple(cells), ())
    return Page(chapter, page.title, page.cells, exercises_of(page, problems))


def _title(cells: list[Cell], chapter: Chapter, problems: Problems) -> str:
    first = cells[0] if cells else None
    if first is not None and first.kind == "markdown" and (heading := re.match(r"#\s+(.+)", first.source)):
        title = heading[1].strip()
        if title != chapter.title:
            problem = f"the page's title is {title!r}, the chapter's {chapter.title!r}"
            problems.add(chapter.page, first.line, problem, "make the title in course.toml the same")
        return title
    problems.add(
        chapter.page,
        first.line if first else 1,
        "the page does not begin with a title",
        "begin it with one line `# Title` below the header",
    )
    return chapter.title
