"""The report on a class as one page: no network, no other file, and nothing that a student wrote is markup.

The numbers are there without JavaScript; the table of students is drawn by a small script from JSON in the page,
some rows at a time, so that ten thousand students sort and filter at once.
"""

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from grader.files import write_whole
from grader.page import whole_page
from grader.teaching.page_markup import LONG_NAME
from grader.teaching.page_parts import body_of
from grader.teaching.report import printable
from grader.teaching.summary import Summary


def write_page(summary: Summary, path: Path, root: Path, language: str = "en") -> None:
    """Write the page. Names link to the feedback pages where `path` lies in the class folder `root`."""
    write_whole(path, as_page(summary, _way_to(path, root), language))


def as_page(summary: Summary, way: str | None = None, language: str = "en") -> bytes:
    """The page as bytes.

    Args:
        summary: from `chapter_summary` or `course_summary`.
        way: the relative address of the class folder with a slash at its end, or empty; None for no links.
        language: the course's language, as a tag.
    """
    links = way if summary.chapter_id else None
    data = embedded(rows_of(summary, links))
    return whole_page(
        language,
        title=printable(f"{summary.report.title}: the class"),
        style=_part("report.css"),
        body=f'{body_of(summary, links)}\n<script type="application/json" id="data">{data}</script>',
        script=_part("report.js"),
    )


def _part(name: str) -> str:
    return files("grader.teaching").joinpath("static", name).read_text(encoding="utf-8")


def _way_to(path: Path, root: Path) -> str | None:
    path, root = path.resolve(), root.resolve()
    if not path.is_relative_to(root):
        return None
    way = os.path.relpath(root, path.parent)
    return "" if way == "." else f"{way}/"


def embedded(value: Any) -> str:
    """JSON that can stand in a page: no character of it ends the script or is more than ASCII.

    >>> embedded("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def rows_of(summary: Summary, links: str | None) -> dict[str, Any]:
    """What the script draws: for each student name, total, cells to grade by hand, reasons to look, whether there is a
    feedback page, seconds, megabytes, and the points of each column."""
    reasons: dict[str, int] = {}
    for suspicion in summary.suspicious:
        for student in suspicion.students:
            reasons[student] = reasons.get(student, 0) + 1
    labels = [column.label for column in summary.report.columns]
    rows = []
    for row in summary.report.rows:
        result = summary.results.get(row.student)
        name = printable(row.student)
        rows.append(
            [
                name,
                _short(row.total),
                row.waiting,
                reasons.get(row.student, 0),
                int(result is not None and name == row.student),
                _short(result.seconds) if result else None,
                _short(result.peak_mb) if result else None,
                *(_short(row.points.get(label)) for label in labels),
            ]
        )
    return {
        "columns": [column.max_points for column in summary.report.columns],
        "most": summary.report.max_points,
        "before": None if links is None else f"{links}feedback/",
        "after": f"/{quote(summary.chapter_id or '', safe='')}/feedback.html",
        "long": LONG_NAME,
        "results": bool(summary.results),
        "rows": rows,
    }


def _short(number: float | None) -> float | int | None:
    """Two digits are enough to read, and a whole number needs no point."""
    if number is None:
        return None
    rounded = round(number, 2)
    return int(rounded) if rounded == int(rounded) else rounded
