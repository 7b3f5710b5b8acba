"""Pages become lighter and stay the same: what is used stays, what is not goes, and nothing points to what is gone."""

import re
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from grader.book.light import MEASURES, STYLE, names, read_style, used_rules
from grader.book.site import Site

NAMES = {"p", "a", "main", "big", "page", "href"}


@pytest.mark.parametrize(
    ("css", "kept"),
    {
        "a class that no page has": ("a.gone { top: 0 }", ""),
        "an id that no page has": ("#gone { top: 0 }", ""),
        "an element that no page has": ("video p { top: 0 }", ""),
        "an attribute that no page has": ("a[hreflang] { top: 0 }", ""),
        "one selector of two": ("a.gone, p { top: 0 }", "p{ top: 0 }"),
        "a class, an id and an attribute that are there": (
            "#page > a.big[href^='x'] { top: 0 }",
            '#page > a.big[href^="x"]{ top: 0 }',
        ),
        "states and parts are no names": ("a:hover::before { top: 0 }", "a:hover::before{ top: 0 }"),
        "what is denied need not be there": ("a:not(.gone) { top: 0 }", "a:not(.gone){ top: 0 }"),
        "a comma in a function parts nothing": ("p:is(.big, .gone) { top: 0 }", "p:is(.big, .gone){ top: 0 }"),
        "within a condition": ("@media print { .gone { top: 0 } p { top: 0 } }", "@media print {p{ top: 0 }}"),
        "an empty condition": ("@media print { .gone { top: 0 } }", ""),
        "fonts and movements stay": ("@font-face { font-family: x }", "@font-face { font-family: x }"),
        "a comment": ("/* p { } */ p { top: 0 }", "p{ top: 0 }"),
    }.values(),
)
def test_rules_that_can_match_stay_and_no_others(css: str, kept: str) -> None:
    assert used_rules(css, NAMES) == kept


def test_names_are_those_of_pages_and_all_words_of_scripts() -> None:
    found = names(['<p class="a b-c" id="d" hidden>class="no"</p>'], ['element.classList.add("told", "x-y")'])
    assert {"p", "class", "a", "b-c", "id", "d", "hidden", "told", "x-y"} <= found
    assert "e" not in found


def test_imports_are_read_in_and_addresses_follow(tmp_path: Path) -> None:
    (tmp_path / "styles").mkdir()
    (tmp_path / "basic.css").write_text("p { background: url(file.png) }", encoding="utf-8")
    sheet = tmp_path / "styles" / "theme.css"
    sheet.write_text('@import "../basic.css";\na { x: url("../b.png"); y: url(data:x); z: url(#i) }', encoding="utf-8")
    assert read_style(sheet, tmp_path).splitlines() == [
        'p { background: url("file.png") }',
        'a { x: url("b.png"); y: url(data:x); z: url(#i) }',
    ]


def test_a_page_loads_one_style_sheet_and_waits_for_no_script(student_site: Site) -> None:
    pages = sorted(student_site.folder.rglob("*.html"))
    assert len(pages) > 5
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r'<link rel="stylesheet"[^>]*href="(?:\.\./)*([^"?]*)', text) == [STYLE], path
        assert not re.findall(r"<script (?![^>]*\bdefer\b)[^>]*\bsrc=[^>]*>", text), path
        assert 'rel="preload"' not in text, path
        assert ("searchindex.js" in text) == (path.name == "search.html"), path
        for picture in re.findall(r"<img [^>]*\.png[^>]*>", text):
            assert re.search(r'loading="lazy" width="\d+" height="\d+"', picture), picture


def test_what_the_style_sheet_asks_for_is_there(student_site: Site) -> None:
    style = student_site.folder / STYLE
    text = style.read_text(encoding="utf-8")
    asked = set(re.findall(r'url\("?([^")]+\.(?:woff2|svg|png))"?\)', text))
    assert any("KaTeX" in place for place in asked)
    assert [place for place in asked if not (style.parent / place).is_file()] == []
    assert len(text) < 250_000, "the themes have 600 kB"


def test_fonts_of_icons_hold_the_icons_that_the_styles_name_and_no_others(student_site: Site) -> None:
    style = (student_site.folder / STYLE).read_text(encoding="utf-8")
    solid = next(student_site.folder.rglob("fa-solid-900.woff2"))
    icons = set(TTFont(solid).getBestCmap())
    assert 0xF002 in icons, "the lens of the search"
    assert {ord(sign) for sign in style if "\ue000" <= sign <= "\uf8ff"} >= {icon for icon in icons if icon > 0xE000}
    assert solid.stat().st_size < 10_000


def test_the_theme_still_measures_its_boxes_one_by_one_and_the_site_does_not(student_site: Site) -> None:
    place = "_static/scripts/pydata-sphinx-theme.js"
    assert MEASURES.search((student_site.folder.parent / "html" / place).read_text(encoding="utf-8"))
    light = (student_site.folder / place).read_text(encoding="utf-8")
    assert not MEASURES.search(light)
    assert "box.tabIndex=index" in light
