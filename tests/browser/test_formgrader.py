"""A teacher's day in nbgrader's formgrader, on a class that `course grade` has graded."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page

from grader.authoring.notebooks import student_notebook
from grader.course import load_course
from grader.errors import EnvironmentProblem
from grader.execution.sandbox import find_bubblewrap

from ..grader.grading.conftest import HALF_SHARES, MINI, RIGHT, Workshop  # noqa: TID252
from ..grader.grading.formgrader import TOKEN, serving  # noqa: TID252
from ..grader.grading.test_essays import with_essay  # noqa: TID252

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.sandbox]

PATIENCE = 240_000
"""Milliseconds until a server on a busy machine counts as dead."""

SCRIPTS = """
from IPython.display import HTML, Javascript, Markdown, display
display(HTML("<script>window.taken = 1</script><img src=nothing onerror='window.taken = 2'><b>shown</b>"))
display(Javascript("window.taken = 3"), Markdown("<script>window.taken = 4</script>"))
print("<script>window.taken = 5</script>")
"""
ESSAY = "Parts of one whole. <script>window.taken = 6</script><img src=nothing onerror='window.taken = 7'>"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A graded class of the miniature course with an essay."""
    try:
        find_bubblewrap()
    except EnvironmentProblem as error:
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("class") / "course"
    shutil.copytree(MINI, root, ignore=shutil.ignore_patterns("build", "class", "__pycache__"))
    (root / "class" / "submitted").mkdir(parents=True)
    course = load_course(root)
    made = with_essay(Workshop(course, student_notebook(course, course.chapters[0])))
    made.submit("right", made.right())
    made.submit("half", made.notebook(add_up=SCRIPTS + RIGHT["add-up"], shares=HALF_SHARES, why=ESSAY))
    assert made.points() == {"right": 3, "half": 2}
    return made


@pytest.fixture(scope="module")
def formgrader(workshop: Workshop) -> Iterator[str]:
    with serving(workshop.folder) as address:
        yield address


@pytest.fixture
def page(chromium: Browser, formgrader: str) -> Iterator[Page]:
    """A page of the teacher's, who is logged in; only the server can be reached."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    server = formgrader.removesuffix("/formgrader")
    context.route(lambda url: not url.startswith(server), lambda route: route.abort())
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    opened.goto(f"{formgrader}?token={TOKEN}")
    yield opened
    context.close()


def row(page: Page, formgrader: str, student: str) -> Locator:
    """The student's line in the list of submissions."""
    page.goto(f"{formgrader}/manage_submissions/01-tiny")
    line = page.locator(f"#main-table tr:has(td.student-id[data-order='{student}'])")
    line.wait_for()
    return line


def autograde(page: Page, formgrader: str, student: str) -> Locator:
    """Press the button; the student's line afterwards."""
    line = row(page, formgrader, student)
    assert "needs autograding" in line.inner_text()
    line.locator(".autograde a").click()
    dialog = page.locator(".modal-dialog", has_text="utograd")
    dialog.wait_for()
    assert "Successfully autograded" in dialog.inner_text(), dialog.inner_text()
    return row(page, formgrader, student)


def open_submission(page: Page, formgrader: str, student: str) -> None:
    """The page on which a teacher reads and grades one notebook, when all of it has come."""
    submissions = page.request.get(f"{formgrader}/api/submitted_notebooks/01-tiny/tiny").json()
    number = next(each["id"] for each in submissions if each["student"] == student)
    page.goto(f"{formgrader}/submissions/{number}/", wait_until="load")
    # points come after the page
    page.locator("#add-up-checks[placeholder]").wait_for()


def taken(page: Page) -> Any:
    """What a script of a student's would have left behind, had it run: once all that the page loads has come."""
    page.wait_for_load_state("networkidle")
    return page.evaluate("window.taken")


def test_scores_and_verdicts_are_shown_and_no_script_of_a_student_runs(page: Page, formgrader: str) -> None:
    page.get_by_role("link", name="01-tiny").first.wait_for()
    assert "3 / 5" in row(page, formgrader, "right").inner_text()
    half = row(page, formgrader, "half").inner_text()
    assert "2 / 5" in half
    assert "needs manual grading" in half
    open_submission(page, formgrader, "half")
    words = page.locator("main").inner_text()
    assert "all zero (1), not met: weights of 0 have equal shares: what do you divide by?" in words
    assert "Parts of one whole." in words
    assert "shown" in words, "what is harmless in an output is shown"
    assert page.get_attribute("#shares-checks", "placeholder") == "1"
    assert "hidden_check" not in page.content()
    assert taken(page) is None


def test_the_autograde_button_grades_a_new_submission(page: Page, formgrader: str, workshop: Workshop) -> None:
    workshop.submit("new", workshop.right())
    line = autograde(page, formgrader, "new")
    assert "graded" in line.inner_text()
    assert "3 / 5" in line.inner_text()
    assert workshop.result("new")["isolation"] == "bubblewrap"
    open_submission(page, formgrader, "new")
    assert "1.2 Each weight's share: 2 of 2 points" in page.locator("main").inner_text()


def test_the_autograde_button_holds_a_hostile_submission(
    page: Page, formgrader: str, workshop: Workshop, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        targets = [str(tmp_path / "mark"), str(workshop.folder / "mark"), f"/tmp/mark-{tmp_path.name}-{os.getpid()}"]
        attack = (
            f"import socket\ntried = []\nfor path in {targets}:\n"
            "    try:\n        open(path, 'w').write('x')\n"
            "    except OSError as error:\n        tried.append(type(error).__name__)\n"
            f"try:\n    socket.create_connection(('127.0.0.1', {listening.getsockname()[1]}), 5)\n"
            "except OSError as error:\n    tried.append('no network')\n"
            "print(' '.join(tried))\n"
        )
        workshop.submit("hostile", workshop.notebook(add_up=attack + SCRIPTS + RIGHT["add-up"], why=ESSAY))
        line = autograde(page, formgrader, "hostile")
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert "1 / 5" in line.inner_text()
    assert not [path for path in targets if Path(path).exists()]
    open_submission(page, formgrader, "hostile")
    assert "FileNotFoundError FileNotFoundError no network" in page.locator("main").inner_text()
    assert taken(page) is None


def test_points_given_by_hand_outlast_grading_again(page: Page, formgrader: str, workshop: Workshop) -> None:
    open_submission(page, formgrader, "half")
    with page.expect_response(lambda answer: "/api/grade/" in answer.url):
        page.fill("input#why", "1.5")
        page.dispatch_event("input#why", "change")
    assert "3.5 / 5" in row(page, formgrader, "half").inner_text()
    assert workshop.points(only=["half"], force=True)["half"] == 3.5
    open_submission(page, formgrader, "half")
    assert page.input_value("input#why") == "1.5"
    line = row(page, formgrader, "half")
    assert "3.5 / 5" in line.inner_text()
    line.locator(".autograde a").click()
    page.locator(".modal-dialog", has_text="Successfully autograded").wait_for()
    assert "3.5 / 5" in row(page, formgrader, "half").inner_text()
