"""The parts of the report's page that need no script: tables with their numbers, and bars beside them."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from grader.teaching.difficulty import Difficulty
from grader.teaching.page_markup import STUDENTS, draw_bar, draw_swatch, draw_table, person, plain
from grader.teaching.report import printable
from grader.teaching.summary import Said, Summary
from grader.teaching.terminal import headline, short_name, shown

KEY = (("full", "all points"), ("partly", "some"), ("none", "none"))

SUCH_AS = [("such as", "people")]

LISTED = 100
"""Lines of a list on the page; the JSON has all."""

SEPARATES = (
    "“Separates” is the correlation of an exercise’s points with the rest of the total, from −1 to 1: near 0, those "
    "who do well elsewhere do no better here; below 0, look at the exercise. A dash: fewer than 20 students, or no "
    "variety."
)


def body_of(summary: Summary, links: str | None) -> str:
    """Everything between `<body>` and the data.

    Args:
        summary: what to show.
        links: the relative address of the class folder, or None for no links to feedback.
    """
    parts = Parts(summary, links)
    sections = [
        ("totals", "Totals", parts.totals()),
        ("exercises", f"How hard each {'exercise' if summary.chapter_id else 'chapter'} was", parts.exercises()),
        ("wrong", "What went wrong", parts.misconceptions()),
        ("look", "To look at yourself", parts.suspicious()),
        ("not-graded", "Not graded", parts.unplaced()),
        ("missing", "Nothing handed in", parts.missing()),
        ("mended", "What was mended", parts.said(summary.repairs, "mended")),
        ("extremes", "The slowest and the hungriest", parts.extremes()),
        ("engine", "How they ran", parts.engine()),
        ("students", "Students", parts.students()),
    ]
    kept = [(key, title, text) for key, title, text in sections if text]
    nav = "".join(f'<li><a href="#{key}">{title}</a></li>' for key, title, _ in kept)
    inner = "\n".join(f'<section><h2 id="{key}">{title}</h2>\n{text}</section>' for key, title, text in kept)
    return (
        f"<header><h1>{plain(summary.report.title)}</h1><p>{plain(headline(summary))}</p>"
        f'<nav aria-label="Sections"><ul>{nav}</ul></nav></header>\n<main>\n{inner}\n</main>'
    )


class Parts:
    """The sections of one report, each empty where there is nothing to say."""

    def __init__(self, summary: Summary, links: str | None) -> None:
        self.summary = summary
        self.links = links
        self.names = {each.label.removesuffix("-checks"): each.name for each in summary.exercises}

    def totals(self) -> str:
        """The histogram as a table with bars, and the numbers of the distribution."""
        scores = self.summary.scores
        if scores.quartiles is None or scores.mean is None:
            return ""
        most = max(bar.count for bar in scores.histogram)
        rows = []
        for number, bar in enumerate(scores.histogram):
            under = "" if number == len(scores.histogram) - 1 else "under "
            rows.append(
                f'<tr><th scope="row" class="number">{bar.least:g} to {under}{bar.below:g}</th>'
                f'<td class="number">{bar.count:,}</td>'
                f'<td class="bar">{draw_bar([(bar.count, "full")], most)}</td></tr>'
            )
        facts = {
            "students": f"{scores.count:,}",
            "points to earn": f"{scores.max_points:g}",
            "mean": shown(scores.mean),
            "standard deviation": shown(scores.deviation),
            "lowest": f"{scores.lowest:g}",
            "lower quartile": f"{scores.quartiles[0]:g}",
            "median": f"{scores.quartiles[1]:g}",
            "upper quartile": f"{scores.quartiles[2]:g}",
            "highest": f"{scores.highest:g}",
        }
        listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
        heads = '<th scope="col" class="number">points</th><th scope="col" class="number">students</th>'
        return (
            f'<div class="totals"><table><thead><tr>{heads}<td></td></tr></thead><tbody>{"".join(rows)}</tbody></table>'
            f"<dl>{listed}</dl></div>"
        )

    def exercises(self) -> str:
        """Shares, means, discrimination and times."""
        kind = "exercise" if self.summary.chapter_id else "chapter"
        heads = [(kind, ""), ("mean", "number"), ("full, partly, none", "bar")]
        heads += [(name, "number") for name in ("full", "partly", "none", "by hand", "separates", "median s")]
        rows = [self._exercise(each) for each in self.summary.exercises]
        key = "".join(f"{draw_swatch(name)}{words}" for name, words in KEY)
        return f'<p class="soft key">{SEPARATES}<br>{key}</p>\n' + draw_table("exercises", heads, rows)

    def _exercise(self, each: Difficulty) -> str:
        scored = each.full + each.partly + each.none
        counts = [(each.full, "full"), (each.partly, "partly"), (each.none, "none")]
        shares = "".join(
            f'<td class="number">{count / scored:.0%} <span class="soft">({count:,})</span></td>'
            if scored
            else '<td class="number">–</td>'
            for count, _ in counts
        )
        return (
            f'<th scope="row">{plain(each.name)}</th><td class="number">{shown(each.mean)} of {each.max_points:g}</td>'
            f'<td class="bar">{draw_bar(counts, scored)}</td>{shares}<td class="number">{each.waiting or ""}</td>'
            f'<td class="number">{shown(each.discrimination)}</td><td class="number">{shown(each.median_seconds)}</td>'
        )

    def misconceptions(self) -> str:
        """Failures by what was misunderstood."""
        rows = []
        for each in self.summary.misconceptions[:LISTED]:
            name = f"<strong>{plain(each.name)}.</strong> {plain(each.belief)}<br>" if each.name else ""
            words = each.words if len(each.words) <= 400 else f"{each.words[:400]} …"
            rows.append(
                f'<td class="number">{each.count:,} <span class="soft">({each.share:.0%})</span></td>'
                f"<td>{plain(self.names.get(each.exercise, each.exercise))}</td><td>{plain(each.criterion)}</td>"
                f'<td class="wide">{name}{plain(words)}</td><td>{self._people(each.students, each.count)}</td>'
            )
        heads = [
            ("students", "number"),
            ("exercise", ""),
            ("criterion", ""),
            ("what one was told", ""),
            ("such as", ""),
        ]
        return _cut(len(self.summary.misconceptions)) + draw_table("wrong", heads, rows) if rows else ""

    def suspicious(self) -> str:
        """Reasons to look."""
        rows = [
            f'<td>{self._people(each.students[:20], len(each.students))}</td><td class="wide">{plain(each.words)}</td>'
            f"<td>{plain(', '.join(self.names.get(label, label) for label in each.exercises))}</td>"
            for each in self.summary.suspicious[:LISTED]
        ]
        words = '<p class="soft">Reasons to look at somebody’s work. None of them is a proof of anything.</p>'
        heads = [("students", "people"), ("why", ""), ("exercises", "")]
        return words + _cut(len(self.summary.suspicious)) + draw_table("look", heads, rows) if rows else ""

    def unplaced(self) -> str:
        """Who has no grade although something was handed in, and why."""
        rows = [
            f'<td>{self._people([each.student], 1)}</td><td class="wide">{plain(each.words)}</td>'
            for each in self.summary.unplaced[:LISTED]
        ]
        listed = draw_table("not-graded", [("student", "people"), ("why", "")], rows)
        return _cut(len(self.summary.unplaced)) + listed if rows else ""

    def missing(self) -> str:
        """Students of the gradebook without a submission."""
        missing = self.summary.report.missing
        if not missing:
            return ""
        names = ", ".join(person(student) for student in missing)
        count = f"{len(missing):,} student{'s' * (len(missing) > 1)} of the gradebook"
        return f"<details><summary>{count}</summary><p>{names}</p></details>"

    def said(self, said: Sequence[Said], label: str) -> str:
        """Sentences with the number of students."""
        rows = [
            f'<td class="number">{each.count:,}</td><td class="wide">{plain(each.words)}</td>'
            f"<td>{self._people(each.students, each.count)}</td>"
            for each in said[:LISTED]
        ]
        return draw_table(label, [("students", "number"), ("what", ""), *SUCH_AS], rows) if rows else ""

    def extremes(self) -> str:
        """Most time and most memory."""
        rows = []
        slow, hungry = self.summary.extremes("seconds"), self.summary.extremes("peak_mb")
        for place in range(max(len(slow), len(hungry))):
            cells = ""
            for found, form, measure in ((slow, "{:.1f}", "seconds"), (hungry, "{:,.0f}", "peak_mb")):
                known = found[place] if place < len(found) else None
                who = self._people([known.student], 1) if known else ""
                number = form.format(getattr(known, measure)) if known else ""
                cells += f'<td>{who}</td><td class="number">{number}</td>'
            rows.append(cells)
        heads = [("slowest", ""), ("seconds", "number"), ("hungriest", ""), ("MB", "number")]
        return draw_table("extremes", heads, rows) if rows else ""

    def engine(self) -> str:
        """Isolation, warm and cold starts, and what was not as usual."""
        if not self.summary.engine and not self.summary.remarks:
            return ""
        facts = ", ".join(f"{name.split(' ', 1)[1]} {count:,}" for name, count in self.summary.engine.items())
        return f"<p>{plain(facts)}</p>\n" + self.said(self.summary.remarks, "engine")

    def students(self) -> str:
        """The empty table that the script fills, and what is needed to search it."""
        columns = [short_name(each.name, each.label) for each in self.summary.exercises]
        heads = [("student", 0, ""), ("total", 1, "")]
        titles = [each.name for each in self.summary.exercises]
        heads += [(name, 7 + place, title) for place, (name, title) in enumerate(zip(columns, titles, strict=True))]
        heads += [("by hand", 2, ""), ("look", 3, "")]
        heads += [("seconds", 5, ""), ("MB", 6, "")] if self.summary.results else []
        cells = "".join(_heading(*head) for head in heads)
        return STUDENTS.format(heads=cells)

    def _people(self, students: Sequence[str], count: int) -> str:
        named = ", ".join(self._link(student) for student in students)
        return named if count <= len(students) else f"{named} and {count - len(students):,} more"

    def _link(self, student: str) -> str:
        if self.links is None or student not in self.summary.results or printable(student) != student:
            return person(student)
        path = "/".join(("feedback", *(quote(part, safe="") for part in (student, self.summary.chapter_id or ""))))
        return f'<a href="{escape(self.links + path)}/feedback.html">{person(student)}</a>'


def _cut(count: int) -> str:
    return f'<p class="soft">The first {LISTED} of {count:,}; the JSON has all.</p>' if count > LISTED else ""


def _heading(name: str, column: int, title: str) -> str:
    """The head of a column that sorts; `column` is its place in a row of the data."""
    more = ' aria-sort="ascending"' if column == 0 else "" if name == "look" else ' class="number"'
    more += f' title="{plain(title)}"' if title else ""
    return f'<th scope="col" data-column="{column}"{more}><button type="button">{plain(name)}</button></th>'
