"""Mend the finished pages: what the theme gets wrong for screen readers, and what it loads without need.

Each repair is a pattern and its replacement, and says why. A test builds a page with everything on it and
holds axe against it, so a theme that changes its markup is noticed there.
"""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Repair:
    """One substitution in every page."""

    why: str
    pattern: str
    becomes: str


REPAIRS = (
    Repair(
        "1.5 MB of script on each page for 14 icons that the icon font draws as well",
        r"\s*<!-- So that users can add custom icons -->\s*<script[^>]*fontawesome\.js[^>]*></script>",
        "",
    ),
    Repair(
        "colours come with a script from the page's end: a dark page would begin light",
        r'document\.documentElement\.dataset\.theme = localStorage\.getItem\("theme"\) \|\| "auto";',
        "document.documentElement.dataset.theme = document.documentElement.dataset.mode !== 'auto' "
        "? document.documentElement.dataset.mode "
        ": matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';",
    ),
    Repair("without script a page has no colours", r'(<html [^>]*data-theme=)"auto"', r'\1"light"'),
    Repair("a title on a decorative icon is read aloud", r'(<i class="theme-switch[^>]*?) title="[^"]*"', r"\1"),
    Repair(
        "the list of references names its items",
        r'<div role="list" class="citation-list">',
        '<div role="list" class="citation-list" aria-label="References">',
    ),
    Repair(
        "an entry of a list must be an item of it",
        r'(<div class="citation"[^>]*) role="doc-biblioentry"',
        r'\1 role="listitem"',
    ),
    Repair(
        "a row of empty column heads is read as columns without names",
        r"<thead>\s*<tr[^>]*>(?:\s*<th[^>]*>(?:<p></p>)?</th>)+\s*</tr>\s*</thead>",
        "",
    ),
    Repair(
        "a page opened as a file may fetch no other one, so that search there lists titles without their text",
        r"(?<!</script>)(<script[^>]*searchtools\.js[^>]*></script>)",
        '<script>if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false</script>\\1',
    ),
    Repair(
        "an arrow that opens a part of the sidebar says nothing",
        r'<summary>(<span class="toctree-toggle")',
        r'<summary aria-label="the pages below">\1',
    ),
    Repair("a number and its sign on two lines", r"(?<=\d) %(?=[^\w%])", "\N{NO-BREAK SPACE}%"),
    Repair(
        "the sidebar is a landmark of its own",
        r'<div id="pst-primary-sidebar" class="',
        '<div id="pst-primary-sidebar" role="complementary" aria-label="The book" class="',
    ),
)


DESCRIPTION = re.compile(r'(<meta (?:property="og:description"|name="description") content=")[^"]*(")')
"""What others show of a page: search engines, and messages with a link to it."""

AFTER_FACTS = re.compile(r'<div class="chapter-facts.*?</div>\s*<p>(.*?)</p>', re.DOTALL)
"""A chapter begins with its question; the line of facts above it says nothing to those who do not know the book."""

MOST = 200
"""Characters of a description."""


def described(page: str) -> str:
    """A chapter's page with its first paragraph as its description; another page as it is."""
    found = AFTER_FACTS.search(page)
    if not found:
        return page
    text = " ".join(re.sub(r"<[^>]+>", "", found[1]).split())
    if len(text) > MOST:
        text = text[: text.rindex(" ", 0, MOST)] + "…"
    text = text.replace('"', "&quot;")
    return DESCRIPTION.sub(lambda meta: f"{meta[1]}{text}{meta[2]}", page)


def polish(site: Path, commit: str) -> None:
    """Apply every repair to every page, and write what it is about into its head and the commit into its footer."""
    for path in site.rglob("*.html"):
        text = before = path.read_text(encoding="utf-8")
        for repair in REPAIRS:
            text = re.sub(repair.pattern, repair.becomes, text)
        text = described(text).replace("<!--commit-->", f", commit {commit}" if commit else "")
        if text != before:
            path.write_text(text, encoding="utf-8")
