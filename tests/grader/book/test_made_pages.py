"""The pages that are made while the book is built: reference, index, status, help; and editions that end early."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import click
import pytest

from grader.book.docstrings import markdown_of
from grader.book.leak import LeakError, find_leaks
from grader.book.lookup import TERM, command_page, index_page
from grader.book.reference import library_parts
from grader.book.secrets import secrets_of, squeeze
from grader.book.site import Site, build_site
from grader.book.unpublished import unpublished_targets, without_unpublished
from grader.cli import COMMANDS, cli
from grader.course import Course, load_course
from tests.grader.editing import edit


@pytest.fixture
def course(mini: Course, student_site: Site, tmp_path: Path) -> Course:
    """A copy with the outputs already there; free to be spoilt."""
    root = tmp_path / "course"
    shutil.copytree(mini.root, root, ignore=shutil.ignore_patterns("site", "html", "doctrees", "book-with-solutions"))
    return load_course(root)


def words_of(page: Path) -> str:
    """The text of a page without its markup, white space evened out."""
    return " ".join(re.sub("<[^>]*>", "", page.read_text(encoding="utf-8")).split())


def test_the_reference_tells_how_to_call_a_function_and_not_how_it_is_made(student_site: Site) -> None:
    page = words_of(student_site.folder / "library/01-tiny.html")
    assert "add_up(numbers: list[float]) -&gt; float" in page
    assert "The sum of the numbers, 0 for none." in page
    assert "&gt;&gt;&gt; add_up([1.0, 2.5]) 3.5" in page
    assert "total" not in page
    assert "describe" in words_of(student_site.folder / "library/for-every-chapter.html")


def test_every_public_name_of_the_library_is_in_the_reference_once(repository: Path) -> None:
    course = load_course(repository)
    parts = library_parts(course, course.chapters)
    labels = [entry.label for part in parts for entry in part.entries]
    assert len(labels) == len(set(labels)) > 300
    names = {(entry.module, entry.name) for part in parts for entry in part.entries}
    for part in parts:
        for module in part.introductions:
            path = course.library_root / module.replace(".", "/")
            path = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
            written = re.findall(r"^(?:def|class) ([A-Za-z]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert {(module, name) for name in written} <= names, module


def test_a_chapter_that_is_not_published_has_no_reference(mini: Course) -> None:
    published = {module for part in library_parts(mini, mini.chapters) for module in part.introductions}
    hidden = {module for part in library_parts(mini, ()) for module in part.introductions}
    assert published - hidden == {"tinylib.sharing"}
    assert hidden == {"tinylib"}


def test_docstrings_become_markdown_that_shows_every_sign_of_theirs() -> None:
    text = 'One *star* and `a*b`.\n\nArgs:\n    x: a row,\n        or two.\n\n>>> print("*")\n*\n\n- [a](b): c_d'
    assert markdown_of(text) == (
        "One \\*star\\* and `a*b`.\n\n**Arguments**\n\n- `x`: a row, or two.\n\n"
        '```pycon\n>>> print("*")\n*\n```\n\n- \\[a\\](b): c\\_d'
    )


def test_a_docstring_is_told_on_the_site_and_secret_in_a_bundle(mini: Course) -> None:
    line = squeeze("Each weight's share of the whole; equal shares")
    assert any(line in secret.text for secret in secrets_of(mini))
    assert not any(line in secret.text for secret in secrets_of(mini, with_library=False))


def test_a_docstring_that_quotes_a_solution_stops_the_build(course: Course) -> None:
    answer = "return [weight / total if total else 1 / len(weights) for weight in weights]"
    edit(
        course.root / "lib/tinylib/sharing.py", "equal shares where all weights are 0.", f"it is\n\n        {answer}\n"
    )
    with pytest.raises(LeakError, match=r"library/01-tiny\.md:\d+: holds solutions/01-tiny/tiny\.md"):
        build_site(course)


def test_the_index_leads_to_terms_exercises_and_names(mini: Course, student_site: Site) -> None:
    glossary = "# Glossary\n\n## A\n\nshare\n: A part of a\n  whole. [](#sharing)\n\nsum\n: Everything.\n"
    assert [found["term"] for found in TERM.finditer(glossary)] == ["share", "sum"]
    page = index_page(glossary, [], library_parts(mini, mini.chapters))
    assert "- share: [](#sharing)" in page
    assert "- sum: [glossary](/glossary.md)" in page
    assert (
        page.index("## A") < page.index("`add_up`") < page.index("## D") < page.index("describe") < page.index("## S")
    )
    site = (student_site.folder / "terms.html").read_text(encoding="utf-8")
    assert 'href="library/01-tiny.html#library-tinylib-sharing-add-up"' in site
    assert 'href="chapters/01-tiny/tiny.html#exercise-1-1"' in site


def test_the_status_counts_what_was_built(student_site: Site) -> None:
    page = words_of(student_site.folder / "status.html")
    assert "Edition 0.1" in page
    assert "1 of 1 chapters are in this book" in page
    assert "2 exercises, 3 points" in page
    assert re.search(r"Adding and sharing \d min 0.1 h &lt; 10 s 2 3", page)
    assert re.search(r"sphinx-book-theme \d", page)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_the_command_has_every_option_with_its_help(name: str) -> None:
    part = command_page().split(f"## course {name}\n")[1].split("\n## ")[0]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.opts[-1] in part
            assert " ".join((option.help or "").split())[:20] in part.replace("\\", "")


@pytest.fixture
def two_chapters(course: Course) -> Course:
    """A second chapter, which the first one and the front page refer to."""
    second = replace(course.chapters[0], id="02-more", title="More", folder=course.root / "solutions/02-more")
    second.folder.mkdir()
    second.page.write_text("# More\n\n(much-more)=\n## Much more\n\nText.\n", encoding="utf-8")
    later = "Later comes [](#much-more), in [another chapter](../02-more/more.md).\n"
    edit(course.chapters[0].page, "The sum of no numbers is 0.\n", f"The sum of no numbers is 0. {later}")
    edit(course.root / "book/index.md", "Here you add and share.", "Here you add, share and [more](#much-more).")
    return replace(course, chapters=(course.chapters[0], second))


def test_an_edition_that_ends_early_names_later_chapters_without_a_link(two_chapters: Course) -> None:
    site = build_site(two_chapters, through="01-tiny")
    assert "Here you add, share and more." in words_of(site.folder / "index.html")
    page = words_of(site.folder / "chapters/01-tiny/tiny.html")
    assert "Later comes chapter 2, in another chapter." in page
    student = next(site.folder.rglob("tiny.ipynb")).read_text(encoding="utf-8")
    assert "in another chapter." in student, "the notebook to download has no such link either"
    assert "1 of 2 chapters" in words_of(site.folder / "status.html")


def test_a_reference_to_what_is_there_stays(two_chapters: Course) -> None:
    assert unpublished_targets(two_chapters, two_chapters.chapters) == {}
    missing = unpublished_targets(two_chapters, two_chapters.chapters[:1])
    assert missing["much-more"] == "chapter 2"
    text = "[](#sharing), {numref}`parts`, [a](https://b.c/more.html) and [x](y.md)"
    assert without_unpublished(text, missing) == text
    assert without_unpublished("{ref}`the end <much-more>`", missing) == "the end"
    assert without_unpublished("[](/chapters/02-more/more.ipynb)", missing) == "chapter 2"


def test_the_search_index_may_have_names_that_the_reference_tells(mini: Course, tmp_path: Path) -> None:
    index = tmp_path / "searchindex.js"
    index.write_text('Search.setIndex({"terms":{"add_up":0,"numbers":0}})', encoding="utf-8")
    assert not list(find_leaks([index], secrets_of(mini, with_library=False)))
