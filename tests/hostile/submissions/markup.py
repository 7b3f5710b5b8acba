"""What in a page or a notebook could run or fetch something: by a parser, not by looking for words."""

import html.parser
import json
import re
from pathlib import Path
from typing import Any

ACTIVE = frozenset(
    re.findall(
        r"\w+",
        "script iframe object embed applet svg math link base form input button video audio source frame "
        "frameset template",
    )
)
FETCHING = ("href", "src", "srcset", "srcdoc", "action", "formaction", "poster", "background", "data", "xlink:href")


class Reader(html.parser.HTMLParser):
    """Collects what is active."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note active elements and attributes."""
        values = {name.lower(): value or "" for name, value in attrs}
        if tag in ACTIVE:
            self.found.append(f"<{tag}>")
        if tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            self.found.append("a refresh")
        for name, value in values.items():
            if name.startswith("on"):
                self.found.append(f"{tag} {name}")
            if name in FETCHING and not value.startswith(("#", "data:image/png;base64,", "data:image/jpeg;base64,")):
                self.found.append(f"{tag} {name}={value[:40]}")
            if name == "style" and re.search(r"url\s*\(|expression|@import|behavior|javascript", value, re.IGNORECASE):
                self.found.append(f"{tag} style={value[:40]}")

    handle_startendtag = handle_starttag


def active_parts(page: str) -> list[str]:
    """The active elements and attributes of a page."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader.found


def active_in_notebook(path: Path) -> list[str]:
    """The same for what a notebook's outputs and Markdown become in nbconvert's and nbgrader's pages."""
    from nbconvert.filters import ansi2html, markdown2html

    found: list[str] = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "raw":
            found.append("a raw cell")
        if cell["cell_type"] == "markdown":
            found += active_parts(markdown2html(source))
        for output in cell.get("outputs", []):
            for mime, value in output.get("data", {}).items():
                found += _in_data(mime, value)
            text = "".join(output.get("text", "")) + "\n".join(output.get("traceback", []))
            found += active_parts(ansi2html(text))
    return found


def _in_data(mime: str, value: Any) -> list[str]:
    text = "".join(value) if isinstance(value, list) else str(value)
    if mime == "text/html":
        return active_parts(text)
    return [] if mime in ("text/plain", "image/png", "image/jpeg") else [f"an output of type {mime}"]
