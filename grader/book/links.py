"""Links into chapters that are not published yet: their words stay, and no link goes nowhere."""

import re
from collections.abc import Iterable, Mapping

from grader.course import Chapter

LABEL = re.compile(r"^\(([A-Za-z0-9_-]+)\)=$", re.MULTILINE)
LINK = re.compile(r"\[(?P<words>[^\[\]]*)\]\(#(?P<label>[A-Za-z0-9_-]+)\)")


def sections_of(chapters: Iterable[Chapter]) -> dict[str, str]:
    """The labelled sections of chapters: "chapter 8" by label."""
    return {
        label: f"chapter {int(chapter.id[:2])}"
        for chapter in chapters
        for label in LABEL.findall(chapter.page.read_text(encoding="utf-8"))
    }


def unlink(text: str, later: Mapping[str, str]) -> str:
    """The text with words in place of links to sections that are in `later`.

    >>> unlink("cut at [](#top-k) or [below](#top-p)", {"top-k": "chapter 8"})
    'cut at chapter 8 or [below](#top-p)'
    """
    return LINK.sub(lambda link: (link["words"] or later[link["label"]]) if link["label"] in later else link[0], text)
