"""Make the finished pages light: one style sheet of what they use, no script before the text, pictures when seen.

The themes bring 570 kB of styles, of which the pages use a quarter, a font of 1,400 icons for 25, and load the
index of the search on every page. A phone has to read all of it before it draws the first line.
"""

import hashlib
import io
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

STYLE = "_static/book.css"
"""The one style sheet, from the site's folder."""

SHEET = re.compile(r'[ \t]*<link (?=[^>]*rel="stylesheet")[^>]*href="(?P<href>[^"?]+)[^"]*"[^>]*/>\n?')
PRELOAD = re.compile(r'[ \t]*<link rel="preload"[^>]*/>\n?')
SCRIPT = re.compile(r'<script (?![^>]*\b(?:defer|async|type)\b)(?=[^>]*\bsrc="[^"]+")')
OPTIONS = re.compile(r'<script src="[^"]*documentation_options\.js[^"]*"></script>')
SEARCH = re.compile(r'\s*<script[^>]*src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"[^>]*></script>')
PICTURE = re.compile(r'<img (?=[^>]*src="(?P<src>[^":]+\.png)")(?![^>]*\bloading=)(?P<has_width>(?=[^>]*\bwidth=))?')

MEASURES = re.compile(
    r"document\.querySelectorAll\((?P<which>\[[^]]*\]\.join\(\", \"\))\)"
    r"\.forEach\((?P<box>\w+)=>\{(?P=box)\.tabIndex=(?P<scrolls>[^{}?]*)\?0:-1\}\)"
)
MEASURED = (
    r"[...document.querySelectorAll(\g<which>)].map(\g<box>=>[\g<box>,\g<scrolls>?0:-1])"
    r".forEach(([box,index])=>{box.tabIndex=index})"
)
"""Which boxes scroll, and so must be reached by keyboard."""

TAG = re.compile(r"<([A-Za-z][\w-]*)")
ATTRIBUTE = re.compile(r'\s([A-Za-z][\w-]*)(?:="([^"]*)")?')
WORD = re.compile(r"[A-Za-z_][\w-]*")
ADDRESS = re.compile(r"""url\((?P<quote>["']?)(?P<place>(?!data:|https?:|\#)[^"')]+)(?P=quote)\)""")
IMPORT = re.compile(r"""@import\s+["'](?P<place>[^"']+)["'];""")
ICON = re.compile("[\ue000-\uf8ff]")
"""Where fonts of icons put them."""


def lighten(site: Path) -> None:
    """Change every page, its styles, the theme's script and the fonts of icons in place."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))}
    scripts = [path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.js"))]
    hrefs = ((path.parent / found["href"]).resolve() for path in pages for found in SHEET.finditer(pages[path]))
    sheets = list(dict.fromkeys(hrefs))
    styles = "\n".join(read_style(sheet, site / "_static") for sheet in sheets)
    style = used_rules(styles, names(pages.values(), scripts))
    head = _head(site, style)
    sizes: dict[Path, tuple[int, int]] = {}
    for path, page in pages.items():
        up = "../" * (len(path.relative_to(site).parts) - 1)
        text = PRELOAD.sub("", SHEET.sub("", OPTIONS.sub("", page)))
        if path.name != "search.html":
            text = SEARCH.sub("", text)
        text = SCRIPT.sub("<script defer ", text)
        text = text.replace("</title>", f"</title>\n{head.format(up=up)}", 1)
        folder = path.parent
        text = PICTURE.sub(lambda found, folder=folder: _picture(found, folder, sizes), text)  # type: ignore[misc]
        path.write_text(text, encoding="utf-8")
    for sheet in sheets:
        sheet.unlink()
    (site / STYLE).write_text(style, encoding="utf-8")
    _measure_once(site)
    subset_icons(site, style)


def _head(site: Path, style: str) -> str:
    """What every page loads before its text: the style sheet, and Sphinx's few options, which scripts below change."""
    digest = hashlib.sha256(style.encode()).hexdigest()[:8]
    options = (site / "_static" / "documentation_options.js").read_text(encoding="utf-8").strip()
    options = options.replace("{", "{{").replace("}", "}}")
    return f'    <link rel="stylesheet" href="{{up}}{STYLE}?v={digest}" />\n    <script>{options}</script>'


def _measure_once(site: Path) -> None:
    """Let the theme look at all boxes before it changes one: else each look lays the page out again."""
    path = site / "_static" / "scripts" / "pydata-sphinx-theme.js"
    text = path.read_text(encoding="utf-8")
    path.write_text(MEASURES.sub(MEASURED, text), encoding="utf-8")


def read_style(sheet: Path, home: Path) -> str:
    """A style sheet with what it imports, its addresses as seen from the folder `home`."""

    def imported(found: re.Match[str]) -> str:
        return read_style(sheet.parent / found["place"], home)

    def moved(found: re.Match[str]) -> str:
        place = posixpath.relpath(
            posixpath.join(sheet.parent.resolve().as_posix(), found["place"]), home.resolve().as_posix()
        )
        return f'url("{place}")'

    # what is imported has its addresses already
    own = ADDRESS.sub(moved, sheet.read_text(encoding="utf-8"))
    return IMPORT.sub(imported, own)


def names(pages: Iterable[str], scripts: Iterable[str]) -> set[str]:
    """Every name that a selector may match: elements, attributes, classes and ids of the pages, words of scripts."""
    found: set[str] = set()
    for text in pages:
        found.update(TAG.findall(text))
        for name, value in ATTRIBUTE.findall(text):
            found.add(name)
            if name in ("class", "id"):
                found.update(value.split())
    for text in scripts:
        found.update(WORD.findall(text))
    return found


def used_rules(css: str, names: set[str]) -> str:
    """The rules of `css` whose selectors name nothing besides `names`, without comments.

    >>> used_rules("a.big, p { color: red } @media print { .gone { top: 0 } }", {"p", "a"})
    'p{ color: red }'
    """
    import tinycss2

    return "\n".join(_kept(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), names))


def _kept(rules: Iterable[Any], names: set[str]) -> Iterator[str]:
    import tinycss2

    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = [one for one in _split(rule.prelude) if _named(one) <= names]
            if selectors:
                head = ",".join(tinycss2.serialize(one).strip() for one in selectors)
                yield f"{head}{{{tinycss2.serialize(rule.content)}}}"
        elif rule.type == "at-rule" and rule.content is not None and rule.lower_at_keyword in ("media", "supports"):
            inner = "\n".join(_kept(tinycss2.parse_rule_list(rule.content, True, True), names))
            if inner:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inner}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword != "charset":
            yield rule.serialize()


def _split(prelude: list[Any]) -> Iterator[list[Any]]:
    """The selectors between the commas."""
    one: list[Any] = []
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            yield one
            one = []
        else:
            one.append(token)
    yield one


def _named(selector: list[Any]) -> set[str]:
    """What has to be on a page for a selector to match; arguments of `:not()` and its like are not looked at."""
    found, before = set(), ""
    for token in selector:
        if token.type == "hash" or (token.type == "ident" and before != ":"):
            found.add(token.value)
        elif token.type == "[] block":
            found.update(part.value for part in token.content[:1] if part.type == "ident")
        before = token.value if token.type == "literal" else ""
    return found


def _picture(found: re.Match[str], folder: Path, sizes: dict[Path, tuple[int, int]]) -> str:
    """The beginning of a picture's tag: its size keeps its place free, and it is fetched when it comes into view."""
    path = (folder / found["src"]).resolve()
    if found["has_width"] is not None or not path.is_file():
        return f'{found[0]}loading="lazy" '
    if path not in sizes:
        from PIL import Image

        with Image.open(path) as image:
            sizes[path] = image.size
    width, height = sizes[path]
    return f'{found[0]}loading="lazy" width="{width}" height="{height}" '


def subset_icons(site: Path, style: str) -> None:
    """Leave in each font of icons only those that the styles name."""
    from fontTools import subset

    wanted = {ord(icon) for icon in ICON.findall(style)}
    for path in sorted(site.rglob("fa-*.woff2")):
        options = subset.Options(flavor="woff2", layout_features=[], notdef_outline=False)
        font = subset.load_font(io.BytesIO(path.read_bytes()), options)
        shrinker = subset.Subsetter(options)
        shrinker.populate(unicodes=wanted)
        shrinker.subset(font)
        subset.save_font(font, path, options)
