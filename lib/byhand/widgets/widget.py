"""What a figure is: a state, a table of it for readers without script, and a script that replaces the table.

The script stands in the page itself, since browsers refuse modules that are loaded from `file://`. So the same output
works in the book, in JupyterLab and in VS Code, and asks nobody for anything. Where scripts do not run, as in a
notebook that is not trusted, the table is what one sees. Belongs to no chapter.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.resources import files
from typing import Any

HOST = """\
const state = {state};
for (const root of document.querySelectorAll('[data-figure="{key}"]:not([data-live])')) {{
  root.dataset.live = "";
  render({{ model: {{ get: (name) => state[name] }}, el: root.querySelector(".drawn") }});
  // JupyterLab would take arrow keys and Enter for its own
  for (const each of root.querySelectorAll("button, select, input")) each.dataset.lmSuppressShortcuts = "";
}}"""
"""What calls the module; the same figure may stand twice on a page, and each is drawn once."""


@dataclass(frozen=True)
class Widget:
    """An interactive figure, shown when it is the last value of a cell.

    Attributes:
        name: of the module that draws it, `name.js` beside this file.
        state: what the module reads, of JSON's types; rounded to what is shown.
        static: the same in HTML that needs no script.
        words: what it shows, for those who see neither.

    >>> shown = Widget("merge-steps", {"words": []}, "<p>no word</p>", "Merges of no word.")
    >>> shown
    Merges of no word.
    >>> "<p>no word</p>" in shown.html
    True
    """

    name: str
    state: dict[str, Any]
    static: str
    words: str

    @property
    def key(self) -> str:
        """A name for this figure with this state, the same on every run."""
        return f"{self.name}-{hashlib.sha256(self._json.encode()).hexdigest()[:8]}"

    @cached_property
    def html(self) -> str:
        """The figure for a page: style, static version, script."""
        host = HOST.format(state=self._json, key=self.key)
        return (
            f'<div class="byhand-widget" data-figure="{self.key}">\n<style>\n{_file("widgets.css")}</style>\n'
            f'<div class="drawn">\n{self.static}\n</div>\n</div>\n'
            f'<script type="module">\n{_file(f"{self.name}.js")}\n{host}\n</script>'
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.words}

    def __repr__(self) -> str:
        return self.words

    @property
    def _json(self) -> str:
        # "<" only ever stands in strings, and a script element ends at the first "</script", wherever it stands
        return json.dumps(self.state, ensure_ascii=False, separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")


def table(caption: str, head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table whose first column names the rows.

    >>> print(table("Two sides", ["", "n"], [["<b>", 2]]))
    <div class="wide" role="group" aria-label="Two sides" tabindex="0"><table>
    <caption>Two sides</caption>
    <tr><td></td><th scope="col">n</th></tr>
    <tr><th scope="row">&lt;b&gt;</th><td>2</td></tr>
    </table></div>
    """
    lines = [
        f'<div class="wide" role="group" aria-label="{escape(caption)}" tabindex="0"><table>',
        f"<caption>{escape(caption)}</caption>",
        f"<tr>{''.join(_heading(each) for each in head)}</tr>",
    ]
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(str(each))}</td>" for each in rest)
        lines.append(f'<tr><th scope="row">{escape(str(first))}</th>{cells}</tr>')
    return "\n".join([*lines, "</table></div>"])


def visible(token: str | bytes) -> str:
    """A token as one can read it: spaces and line ends as signs, bytes that are no text by their numbers.

    >>> visible(b" sea"), visible("a\\nb"), visible(b"\\xc3")
    ('␣sea', 'a↵b', '<c3>')
    """
    if isinstance(token, bytes):
        try:
            token = token.decode()
        except UnicodeDecodeError:
            return "".join(f"<{byte:02x}>" for byte in token)
    return token.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")


def _heading(text: object) -> str:
    return f'<th scope="col">{escape(str(text))}</th>' if str(text) else "<td></td>"


def _file(name: str) -> str:
    return (files("byhand.widgets") / name).read_text(encoding="utf-8")
