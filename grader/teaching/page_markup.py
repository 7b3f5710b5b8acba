"""Pieces of markup that the report's page is made of. Whatever somebody wrote passes through `plain` or `person`."""

from collections.abc import Sequence
from html import escape

from grader.teaching.report import printable

LONG_NAME = 24
"""Letters of a name that is kept on one line."""

STUDENTS = """<p id="unscripted">The table of students needs JavaScript; <code>course report --csv</code> writes
the same numbers.</p>
<div id="table" hidden>
<div class="find">
<label>Search a name <input type="search" id="search" autocomplete="off" spellcheck="false"></label>
<label>Show <select id="choice"><option value="all">all</option><option value="look">to look at</option>
<option value="waiting">to grade by hand</option><option value="full">all points</option>
<option value="none">no points</option></select></label>
<label>Rows <select id="size"><option>25</option><option selected>50</option><option>200</option>
<option>1000</option></select></label>
</div>
<div class="scroll" tabindex="0" role="region" aria-labelledby="students"><table><thead><tr>{heads}</tr></thead>
<tbody></tbody></table></div>
<div class="find pager"><button type="button" id="before">Back</button><button type="button" id="after">Next</button>
<span id="status" role="status"></span></div>
</div>
"""


def plain(words: str) -> str:
    """Words of anybody, as text: one line, printable, no markup."""
    return escape(printable(" ".join(str(words).split())), quote=True)


def person(student: str) -> str:
    """A name, whichever way its letters run."""
    kind = ' class="long"' if len(student) > LONG_NAME else ""
    return f"<bdi{kind}>{plain(student)}</bdi>"


def draw_table(label: str, heads: Sequence[tuple[str, str]], rows: Sequence[str]) -> str:
    """A table that scrolls by itself where it is too wide; `label` is the id of its heading."""
    top = "".join(f'<th scope="col" class="{kind}">{name}</th>' for name, kind in heads)
    inner = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{label}">'
        f"<table><thead><tr>{top}</tr></thead>\n<tbody>{inner}</tbody></table></div>\n"
    )


def draw_bar(parts: Sequence[tuple[int, str]], most: int) -> str:
    """A bar of parts beside the numbers that say the same, so it is hidden from those who hear the page."""
    drawn, left = [], 0.0
    for count, kind in parts:
        width = 100 * count / most if most else 0.0
        if width:
            drawn.append(f'<rect class="{kind}" x="{left:.2f}" y="0" width="{width:.2f}" height="10"/>')
        left += width
    inner = "".join(drawn)
    return f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">{inner}</svg>'


def draw_swatch(kind: str) -> str:
    """A square of a colour, for a key."""
    return f'<svg viewBox="0 0 10 10" aria-hidden="true"><rect class="{kind}" width="10" height="10"/></svg>'
