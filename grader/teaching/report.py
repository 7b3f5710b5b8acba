"""A class per exercise, read from the gradebook: what a teacher corrected by hand counts."""

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import UsageError
from grader.files import write_whole
from grader.teaching.gradebook import Scores, read_chapter, read_course


@dataclass(frozen=True)
class Column:
    """One graded exercise, or one chapter.

    Attributes:
        label: its id.
        name: for people.
        max_points: what a right answer earns.
        bonus: whether the points come on top, outside the maximum.
    """

    label: str
    name: str
    max_points: float
    bonus: bool = False


@dataclass(frozen=True)
class Row:
    """One student.

    Attributes:
        student: the student's name in the gradebook.
        points: by column label; None where a person still has to grade.
        penalty: what lateness costs of the total.
        waiting: how many cells wait for a person.
    """

    student: str
    points: dict[str, float | None]
    penalty: float = 0.0
    waiting: int = 0

    @property
    def total(self) -> float:
        """All points so far, less a late penalty."""
        return max(0.0, sum(points for points in self.points.values() if points is not None) - self.penalty)


@dataclass(frozen=True)
class ClassReport:
    """All students of one chapter, or one column for each chapter."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    missing: tuple[str, ...] = ()
    """Students of the gradebook who handed in nothing."""

    @property
    def max_points(self) -> float:
        """What a student can earn, without what comes on top."""
        return sum(column.max_points for column in self.columns if not column.bonus)

    def mean(self, label: str) -> float:
        """The mean of one column over the students who have points in it."""
        points = [value for row in self.rows if (value := row.points.get(label)) is not None]
        return sum(points) / len(points) if points else 0.0

    @property
    def mean_total(self) -> float:
        """The mean of the totals."""
        return sum(row.total for row in self.rows) / len(self.rows) if self.rows else 0.0


def chapter_report(db_url: str, chapter_id: str, title: str, names: Mapping[str, str]) -> ClassReport:
    """The report of one chapter.

    Args:
        db_url: the gradebook.
        chapter_id: the chapter.
        title: for people.
        names: by grade id of the cell that carries the points, the exercise's name, in the order of the page.

    Raises:
        UsageError: when the gradebook has no submission of it.
    """
    scores = read_chapter(db_url, chapter_id)
    if not scores.max_points:
        raise UsageError(f"the gradebook does not know {chapter_id}", f"run `course grade {chapter_id}`")
    if not scores.entries:
        raise UsageError(f"no graded submission of {chapter_id}", f"run `course grade {chapter_id}`")
    return _report(title, scores, names)


def course_report(db_url: str, title: str, chapters: Mapping[str, str], bonus: Collection[str] = ()) -> ClassReport:
    """One column for each chapter that has submissions.

    Args:
        db_url: the gradebook.
        title: the course's.
        chapters: titles by id, in order.
        bonus: ids of chapters whose points come on top.

    Raises:
        UsageError: when the gradebook has no submission.
    """
    scores = read_course(db_url, chapters)
    if not scores.entries:
        raise UsageError("the gradebook has no graded submission", "run `course grade CHAPTER`")
    return _report(title, scores, chapters, bonus)


def _report(title: str, scores: Scores, names: Mapping[str, str], bonus: Collection[str] = ()) -> ClassReport:
    cells = scores.max_points
    order = [*(name for name in names if name in cells), *sorted(set(cells) - set(names))]
    return ClassReport(
        title,
        tuple(Column(name, names.get(name, name), cells[name], name in bonus) for name in order),
        tuple(Row(each.student, each.points, each.penalty, each.waiting) for each in scores.entries),
        scores.missing,
    )


def as_table(report: ClassReport) -> Any:
    """The report as a rich table: students down, exercises across, the mean at the foot."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=report.title, title_justify="left", show_footer=True)
    table.add_column("student", footer="mean", overflow="fold")
    for column in report.columns:
        short = column.name.split(" ")[0] if column.name[:1].isdigit() else column.label
        table.add_column(
            f"{short}\n{'bonus' if column.bonus else 'of'} {column.max_points:g}",
            footer=f"{report.mean(column.label):.2f}",
            justify="right",
        )
    table.add_column(
        f"total\nof {report.max_points:g}", footer=f"{report.mean_total:.2f}", justify="right", style="bold"
    )
    for row in report.rows:
        cells = [_cell(row.points.get(column.label), column.max_points) for column in report.columns]
        table.add_row(Text(printable(row.student)), *cells, f"{row.total:g}")
    return table


def _cell(points: float | None, max_points: float) -> Any:
    from rich.text import Text

    if points is None:
        return Text("–", style="dim")
    style = "green" if points >= max_points else "yellow" if points > 0 else "red"
    return Text(f"{points:g}", style=style)


def printable(name: str) -> str:
    """A student's name as a terminal and a CSV may show it."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def as_csv(report: ClassReport) -> str:
    """The report as CSV. A name that a spreadsheet would take for a formula gets an apostrophe in front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["student", *(column.label.removesuffix("-checks") for column in report.columns), "total", "max"])
    for row in report.rows:
        name = printable(row.student)
        name = f"'{name}" if name[:1] in "=+-@" else name
        cells = ["" if row.points.get(c.label) is None else f"{row.points[c.label]:g}" for c in report.columns]
        writer.writerow([name, *cells, f"{row.total:g}", f"{report.max_points:g}"])
    return out.getvalue()


def draw_chart(report: ClassReport, path: Path) -> None:
    """Draw how much of the class has all, some or none of the points of each exercise; PNG or SVG by the
    name.

    Raises:
        UsageError: for another ending.
    """
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"cannot draw a chart into {path.name}", "name a file that ends in .png, .svg or .pdf")
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # colours that stay apart for colour-blind readers and in grey (Okabe and Ito)
    parts = (("all points", "#0072B2", "white"), ("some", "#E69F00", "black"), ("none", "#D5D5D5", "black"))
    figure = Figure(figsize=(7.5, 1.5 + 0.42 * len(report.columns)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    labels = [f"{column.name}  ({column.max_points:g})" for column in report.columns]
    shares = [_shares(report, column) for column in report.columns]
    left = [0.0] * len(shares)
    for number, (name, colour, ink) in enumerate(parts):
        widths = [share[number] for share in shares]
        bars = axes.barh(labels, widths, left=left, color=colour, label=name, height=0.72)
        texts = [f"{width:.0f}%" if width >= 7 else "" for width in widths]
        axes.bar_label(bars, texts, label_type="center", color=ink, fontsize=9)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"share of {len(report.rows)} students, in percent")
    axes.set_title(f"{report.title}\nmean {report.mean_total:.1f} of {report.max_points:g}", loc="left", fontsize=11)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    drawn = io.BytesIO()
    kind = path.suffix.lower()[1:]
    # without these two an SVG differs each time it is drawn
    with rc_context({"svg.hashsalt": "class"}):
        figure.savefig(drawn, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    write_whole(path, drawn.getvalue())


def _shares(report: ClassReport, column: Column) -> tuple[float, float, float]:
    points = [row.points.get(column.label) or 0.0 for row in report.rows]
    everything = sum(value >= column.max_points for value in points)
    some = sum(0 < value < column.max_points for value in points)
    scale = 100 / len(points)
    return everything * scale, some * scale, (len(points) - everything - some) * scale
