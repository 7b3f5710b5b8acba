"""The published book of the miniature course, and what stops it from being published."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from grader.authoring.checking import load_page
from grader.authoring.notebooks import book_notebook
from grader.book.chapter import facts, write_chapter
from grader.book.commands import book
from grader.book.executed import execute
from grader.book.leak import LeakError
from grader.book.lookup import Built, commit_of
from grader.book.site import Site, build_site
from grader.course import Course, load_course
from grader.errors import AuthoringError, CourseError, NoSuchChapter
from tests.grader.editing import edit


@pytest.fixture
def course(mini: Course, student_site: Site, tmp_path: Path) -> Course:
    """A copy with the outputs already there; free to be spoilt."""
    root = tmp_path / "course"
    shutil.copytree(mini.root, root, ignore=shutil.ignore_patterns("site", "html", "doctrees", "book-with-solutions"))
    return load_course(root)


@pytest.fixture(scope="module")
def page(student_site: Site) -> str:
    return (student_site.folder / "chapters/01-tiny/tiny.html").read_text(encoding="utf-8")


def test_the_chapter_shows_what_a_right_answer_prints_and_not_the_answer(page: str) -> None:
    assert "1.1 add-up: the visible checks pass" in page
    assert "this exercise is not solved yet" in page
    assert "Exercise 1.2" in page
    assert "Only positive numbers count towards a sum." in page
    assert "hidden_check" not in page
    assert "total +=" not in re.sub("<[^>]*>", "", page)


def test_formulas_citations_and_cross_references_are_resolved(page: str) -> None:
    assert "katex-mathml" in page
    assert 'href="#equation-sum"' in page
    assert 'href="../../references.html#' in page
    assert "Fig. 1" in page
    assert "MathJax" not in page


def test_the_facts_under_the_title_offer_the_students_notebook(page: str, student_site: Site) -> None:
    assert re.search(r"\d+ min to read", page)
    assert "all cells run in under 10 seconds on one core" in page
    target = re.search(r'href="(\.\./\.\./_downloads/[^"]*tiny\.ipynb)"', page)
    assert target is not None
    notebook = json.loads((student_site.folder / "chapters/01-tiny" / target[1]).read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    assert "raise NotImplementedError" in json.dumps(notebook)


def test_no_page_asks_for_anything_outside_of_the_site(student_site: Site) -> None:
    for path in student_site.folder.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]*)"', text)
        loaded += re.findall(r'<link[^>]*\shref="([^"]*)"', text)
        assert not [url for url in loaded if re.match("https?:|//", url)], path
        assert "fontawesome.js" not in text
        for url in loaded:
            assert url == "#" or (path.parent / url.split("?")[0]).is_file(), f"{path}: {url}"


def test_front_page_guides_and_footer_are_there(student_site: Site) -> None:
    index = (student_site.folder / "index.html").read_text(encoding="utf-8")
    assert "Here you add and share." in index
    assert index.index("For instructors") < index.index("teaching/term.html") < index.index("For authors")
    assert "making/writing-an-exercise.html" in index
    assert "Edition 0.1. " in index
    assert '<meta name="description"' in index


def test_the_instructors_edition_has_the_answers_folded(instructor_site: Site, student_site: Site) -> None:
    text = (instructor_site.folder / "chapters/01-tiny/tiny.html").read_text(encoding="utf-8")
    assert "total +=" in re.sub("<[^>]*>", "", text).replace("&#43;", "+")
    assert len(re.findall('<details class="[^"]*hide', text)) == 2
    assert "BEGIN SOLUTION" not in text
    assert instructor_site.folder != student_site.folder


def test_a_build_elsewhere_gives_the_same_pages(course: Course, student_site: Site) -> None:
    def pages(site: Site) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in site.folder.rglob("*.html")}

    assert pages(build_site(course)) == pages(student_site)


def test_a_page_that_was_taken_out_is_gone_from_the_next_build(course: Course) -> None:
    (course.root / "book" / "teaching" / "term.md").unlink()
    site = build_site(course)
    assert not list(site.folder.rglob("term.html"))
    assert "term.html" not in (site.folder / "index.html").read_text(encoding="utf-8")


def test_bad_tex_and_a_lost_reference_are_reported_where_they_are_written(course: Course) -> None:
    edit(course.chapters[0].page, r"s = \sum_i x_i .", r"s = \sum_{i x_i .")
    edit(course.root / "book/index.md", "Here you add", "Here $\\frac{1}$ you [add](#nowhere)")
    with pytest.raises(CourseError) as caught:
        build_site(course)
    lines = course.chapters[0].page.read_text(encoding="utf-8").split("\n")
    place = lines.index(r"s = \sum_{i x_i .") + 1
    words = str(caught.value)
    assert re.search(
        rf"solutions/01-tiny/tiny\.md(:{place - 2}|:{place - 1}|:{place}| \(cell \d+\)): the formula", words
    )
    assert "KaTeX parse error" in words
    assert "book/index.md:3: the formula" in words
    assert "nowhere" in words
    assert not (course.build / "book" / "site").exists()


def test_a_picture_without_words_is_refused(course: Course) -> None:
    edit(
        course.chapters[0].page,
        "print(tinylib.describe([1.0, 2.0, 3.0]))",
        "from IPython.display import SVG\n\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')",
    )
    with pytest.raises(AuthoringError, match=r"tiny\.md:\d+: the cell draws a picture that has no words"):
        build_site(course)


def built_of(course: Course) -> Built:
    """The first chapter, after it was run."""
    chapter = course.chapters[0]
    notebook = book_notebook(course, chapter)
    return Built(chapter, load_page(course, chapter), notebook, execute(course, chapter, notebook))


def page_of(course: Course) -> list[Path]:
    """The files of the first chapter, after it was run."""
    return write_chapter(course, built_of(course), course.build / "src", {})


def test_a_notebook_is_opened_elsewhere_where_course_toml_says_so(course: Course) -> None:
    built = built_of(course)
    assert "Open in" not in facts(course, built)
    course.settings["course"]["launch"] = {"colab": "https://colab.example/github/a/b/blob/main/"}
    link = "[Open in Colab](https://colab.example/github/a/b/blob/main/chapters/01-tiny/tiny.ipynb)"
    assert facts(course, built).count("Open in") == 1
    assert link in facts(course, built)


FIGURE = """from IPython.display import HTML

HTML('<p id="figure">2</p><script type="module">document.title</script>')"""


def test_an_interactive_figure_without_words_is_refused(course: Course) -> None:
    edit(course.chapters[0].page, "print(tinylib.describe([1.0, 2.0, 3.0]))", FIGURE)
    with pytest.raises(AuthoringError, match=r"tiny\.md:\d+: the cell draws a figure that has no words"):
        build_site(course)


def test_an_interactive_figure_is_published_under_its_words(course: Course) -> None:
    page = course.chapters[0].page
    edit(page, "print(tinylib.describe([1.0, 2.0, 3.0]))", FIGURE)
    place = page.read_text(encoding="utf-8").index("from IPython.display import HTML")
    text = page.read_text(encoding="utf-8")
    opening = text.rindex("```{code-cell} python\n", 0, place) + len("```{code-cell} python\n")
    page.write_text(f'{text[:opening]}:alt: "The number <2>"\n{text[opening:]}', encoding="utf-8")
    written = page_of(course)
    cells = json.loads(written[0].read_text(encoding="utf-8"))["cells"]
    data = [output["data"] for cell in cells for output in cell.get("outputs", []) if "data" in output]
    assert len(data) == 1
    assert "".join(data[0]["text/plain"]) == "The number <2>"
    html = "".join(data[0]["text/html"])
    assert html.startswith('<div role="group" aria-label="The number &lt;2&gt;">')
    assert '<p id="figure">2</p><script type="module">' in html


def test_what_a_cell_writes_to_stderr_is_not_published(course: Course) -> None:
    page = course.chapters[0].page
    edit(page, "import tinylib\n", "import sys\n\nimport tinylib\n\nprint('a/path', file=sys.stderr)\n")
    written = page_of(course)
    cells = json.loads(written[0].read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert {output["name"] for output in outputs} == {"stdout"}


def test_a_chapters_own_list_of_references_is_left_to_the_books_page(course: Course) -> None:
    page = course.chapters[0].page
    page.write_text(page.read_text(encoding="utf-8") + "\n## Sources\n\n:::{bibliography}\n:::\n", encoding="utf-8")
    written = page_of(course)
    text = written[0].read_text(encoding="utf-8")
    assert "bibliography" not in text
    assert "## Sources" not in text
    assert "{quiz}" not in text


def test_a_leak_leaves_the_last_site_in_place(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    last = course.build / "book/site/index.html"
    last.parent.mkdir(parents=True)
    last.write_text("the last one", encoding="utf-8")
    monkeypatch.setattr("grader.authoring.notebooks.strip_solutions", lambda notebook: notebook)
    with pytest.raises(LeakError, match=r"tiny\.ipynb:\d+: holds solutions/01-tiny/"):
        build_site(course)
    assert last.read_text(encoding="utf-8") == "the last one"


def test_without_a_front_page_the_error_says_what_to_write(course: Course) -> None:
    (course.root / "book/index.md").unlink()
    with pytest.raises(AuthoringError, match=r"index\.md: the front page is missing"):
        build_site(course)


def test_an_unknown_chapter_is_refused_before_anything_is_built(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_ROOT", str(course.root))
    shutil.rmtree(course.build)
    with pytest.raises(NoSuchChapter, match="01-tiny"):
        book.main(["--through", "02-huge"], standalone_mode=False)
    assert not course.build.exists()


def test_the_command_says_where_the_site_is_and_that_no_secret_is_in_it(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_ROOT", str(course.root))
    answer = CliRunner().invoke(book, ["--through", "01-tiny"])
    assert answer.exit_code == 0, answer.output
    assert "outputs of an earlier run" in answer.output
    assert f"{course.build / 'book/site/index.html'}: " in answer.output
    assert re.search(r"none of \d+ secret lines is in them", answer.output)


def test_outside_of_git_there_is_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == ""
