"""The summary of a class in a terminal."""

from collections.abc import Callable, Sequence
from typing import Any

from grader.teaching.report import printable
from grader.teaching.results import Finished
from grader.teaching.summary import Summary

SHOWN = 10
"""Lines of each list; the page and the JSON have all."""

BAR = 30
"""Characters of the longest bar."""


def print_summary(summary: Summary, console: Any) -> None:
    """Print what there is to say of a class; a list without entries is left out."""
    console.print(headline(summary), highlight=False, soft_wrap=True)
    if not summary.report.rows:
        return
    console.print(_histogram(summary))
    console.print(_exercises(summary))
    names = {each.label.removesuffix("-checks"): short_name(each.name, each.label) for each in summary.exercises}
    failures = [
        (f"{each.count} ({each.share:.0%})", names.get(each.exercise, each.exercise), each.criterion, _said(each))
        for each in summary.misconceptions
    ]
    _list(console, "What went wrong", ("students", "exercise", "criterion", "what they were told"), failures)
    repairs = [(str(each.count), each.words, _some(each.students, each.count)) for each in summary.repairs]
    _list(console, "What was mended", ("students", "what", "such as"), repairs)
    _list(
        console,
        "To look at yourself",
        ("students", "exercises", "why"),
        [
            (_some(each.students, len(each.students)), ", ".join(names.get(e, e) for e in each.exercises), each.words)
            for each in summary.suspicious
        ],
    )
    _list(console, "Not graded", ("student", "why"), [(each.student, each.words) for each in summary.unplaced])
    _list(console, "The slowest", ("student", "seconds"), _extreme(summary, "seconds", "{:.1f}"))
    _list(console, "The hungriest", ("student", "MB"), _extreme(summary, "peak_mb", "{:,.0f}"))
    remarks = [(str(each.count), each.words, _some(each.students, each.count)) for each in summary.remarks]
    _list(console, "What the engine did not do as usual", ("students", "what", "such as"), remarks)
    if summary.engine:
        facts = ", ".join(f"{name.split(' ', 1)[1]} {count}" for name, count in summary.engine.items())
        console.print(f"How they ran: {facts}.", highlight=False, soft_wrap=True)
    if summary.report.missing:
        missing = summary.report.missing
        console.print(
            printable(f"Nothing handed in by {len(missing)}: {_some(missing, len(missing))}"),
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def headline(summary: Summary) -> str:
    """The totals in a sentence or two."""
    scores = summary.scores
    if scores.mean is None or scores.quartiles is None:
        return "No student has a grade."
    low, middle, high = scores.quartiles
    words = [
        f"{scores.count:,} student{'s' * (scores.count != 1)}: mean {scores.mean:.2f} of {scores.max_points:g}, "
        f"median {middle:g}, half of them from {low:g} to {high:g}, all from {scores.lowest:g} to {scores.highest:g}."
    ]
    if summary.waiting:
        one = summary.waiting == 1
        words.append(f"{summary.waiting:,} answer{'s' * (not one)} wait{'s' * one} for a person to grade.")
    return " ".join(words)


def short_name(name: str, label: str) -> str:
    """The number of an exercise where it has one, else its label."""
    return name.split(" ")[0] if name[:1].isdigit() else label


def _table(title: str, columns: Sequence[tuple[str, bool]]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, right in columns:
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    return table


def _histogram(summary: Summary) -> Any:
    bars = summary.scores.histogram
    most = max(bar.count for bar in bars)
    table = _table("Totals", (("points", True), ("students", True), ("", False)))
    for number, bar in enumerate(bars):
        last = number == len(bars) - 1
        between = f"{bar.least:g} to {bar.below:g}" if last else f"{bar.least:g} to under {bar.below:g}"
        length = max(1, round(BAR * bar.count / most)) if bar.count else 0
        table.add_row(between, f"{bar.count:,}", "█" * length)
    return table


def _exercises(summary: Summary) -> Any:
    kind = "exercise" if summary.chapter_id else "chapter"
    table = _table(
        f"How hard each {kind} was",
        (
            (kind, False),
            ("mean", True),
            ("full", True),
            ("partly", True),
            ("none", True),
            ("by hand", True),
            ("separates", True),
            ("median s", True),
        ),
    )
    for each in summary.exercises:
        scored = each.full + each.partly + each.none
        shares = [f"{count / scored:.0%}" if scored else "–" for count in (each.full, each.partly, each.none)]
        table.add_row(
            _text(f"{each.name}"),
            f"{shown(each.mean)} of {each.max_points:g}",
            *shares,
            f"{each.waiting:,}" if each.waiting else "",
            shown(each.discrimination),
            shown(each.median_seconds),
        )
    return table


def shown(number: float | None) -> str:
    """A number with two digits, or a dash for none."""
    return "–" if number is None else f"{number:.2f}"


def _list(console: Any, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    more = f" ({SHOWN} of {len(rows):,})" if len(rows) > SHOWN else ""
    table = _table(title + more, [(name, name in ("seconds", "MB")) for name in columns])
    for row in rows[:SHOWN]:
        table.add_row(*map(_text, row))
    console.print(table)


def _text(words: str) -> Any:
    from rich.text import Text

    return Text(printable(" ".join(words.split())))


def _said(each: Any) -> str:
    words = each.words if len(each.words) <= 200 else f"{each.words[:200]} …"
    return f"{each.name}: {words}" if each.name else words


def _some(students: Sequence[str], count: int, most: int = 5) -> str:
    named = ", ".join(students[:most])
    return named if count <= min(most, len(students)) else f"{named} and {count - min(most, len(students)):,} more"


def _extreme(summary: Summary, measure: str, form: str) -> list[tuple[str, str]]:
    number: Callable[[Finished], float] = lambda each: getattr(each, measure)  # noqa: E731
    return [(each.student, form.format(number(each))) for each in summary.extremes(measure)[:5]]
