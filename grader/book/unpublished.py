"""References to chapters that this edition does not have become words: a link needs a target."""

import re
from collections.abc import Iterable, Mapping

from grader.authoring.page import chapter_number, read_page
from grader.authoring.problems import Problems
from grader.authoring.targets import book_docname, targets_of
from grader.course import Chapter, Course

LINK = re.compile(r"\[(?P<words>[^\[\]]*)\]\((?P<target>[^()\s]+)\)")
ROLE = re.compile(r"\{(?:doc|eq|numref|ref)\}`(?:(?P<words>[^<>`]*?)\s*<)?(?P<target>[^<>`\s]+)>?`")


def unpublished_targets(course: Course, published: tuple[Chapter, ...]) -> dict[str, str]:
    """What a reference may name that only unpublished chapters have, with the words that stand in its place."""
    from grader.authoring.book_form import exercise_name

    def labels(chapter: Chapter) -> Iterable[str]:
        page = read_page(course, chapter, Problems(course.root)) if chapter.page.is_file() else None
        if page is not None:
            yield from targets_of(page)
            yield from (exercise_name(exercise.number) for exercise in page.exercises)

    there = {label for chapter in published for label in labels(chapter)}
    found: dict[str, str] = {}
    for chapter in course.chapters:
        if chapter in published:
            continue
        names = {*labels(chapter), f"/{book_docname(chapter)}", chapter.id}
        found |= {name: f"chapter {chapter_number(chapter)}" for name in names - there}
    return found


def without_unpublished(text: str, missing: Mapping[str, str]) -> str:
    """The text with each link to something missing as its words, or as the chapter it led to where it has none.

    >>> without_unpublished("[beams](#beam) in [](#beam), {numref}`beam`", {"beam": "chapter 8"})
    'beams in chapter 8, chapter 8'
    """

    def words(found: re.Match[str]) -> str:
        name = re.sub(r"\.(?:ipynb|md)$", "", found["target"].removeprefix("#"))
        name = name if name in missing else name.rpartition("/")[0].rpartition("/")[2]
        return (found["words"] or missing[name]) if name in missing else found[0]

    return ROLE.sub(words, LINK.sub(words, text))
