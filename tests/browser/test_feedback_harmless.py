"""Pages with a student's words in them run nothing in a real browser, even with their policy taken off."""

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from grader.authoring.notebooks import student_notebook
from grader.course import load_course
from grader.execution.plan import Outcome, Plan
from grader.execution.run import execute
from grader.grading.classroom import open_classroom
from grader.grading.grading import grade_class

pytestmark = pytest.mark.browser

TESTS = Path(__file__).resolve().parents[1]
ATTACKS = tomllib.loads((TESTS / "hostile" / "submissions" / "harming.toml").read_text(encoding="utf-8"))
LIVE = ATTACKS["harm: output"]["live scripts"]["source"]
WORDS = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1><svg onload=window.pwned=1>"
ANSWER = f"def add_up(numbers):\n    raise type({WORDS!r}, (Exception,), {{}})({WORDS!r})\n"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A feedback page and an autograded notebook as nbconvert shows it, of a submission that attacks both."""
    from nbconvert import HTMLExporter

    root = tmp_path_factory.mktemp("harmless") / "course"
    shutil.copytree(TESTS / "grader" / "fixtures" / "mini", root, ignore=shutil.ignore_patterns("build", "__pycache__"))
    course = load_course(root)
    chapter = course.chapters[0]
    notebook = json.loads(json.dumps(student_notebook(course, chapter)))
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "add-up":
            cell["source"] = ANSWER
        if cell["metadata"].get("nbgrader", {}).get("solution") and cell["cell_type"] == "markdown":
            cell["source"] = f"{WORDS} [x](javascript:window.pwned=1)"
    own = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": LIVE}
    notebook["cells"].insert(1, own)
    folder = root / "class" / "submitted" / "mallory" / chapter.id
    folder.mkdir(parents=True)
    (folder / "tiny.ipynb").write_text(json.dumps(notebook))

    def run_here(plans: Iterator[Plan]) -> Iterator[tuple[int, Outcome]]:
        for number, plan in enumerate(plans):
            yield number, execute(plan, sandbox=False)

    classroom = open_classroom(root / "class")
    grade_class(course, chapter, classroom, run_here)
    feedback = (classroom.feedback("mallory", chapter.id) / "feedback.html").read_text(encoding="utf-8")
    autograded = classroom.root / "autograded" / "mallory" / chapter.id / "tiny.ipynb"
    shown, _ = HTMLExporter().from_filename(str(autograded))
    return {"feedback": re.sub(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", feedback), "autograded": shown}


@pytest.mark.parametrize("name", ["feedback", "autograded"])
def test_nothing_of_a_student_runs_in_a_page(chromium: Browser, pages: dict[str, str], name: str) -> None:
    assert "window.pwned=1" in pages[name], "the attack is shown, as text"
    assert "Content-Security-Policy" not in pages[name]
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.route("**/*", lambda route: route.abort())
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        page.set_content(pages[name], wait_until="load")
        for link in page.locator("a[href^=javascript]").all():
            link.evaluate("link => link.click()")
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("typeof window.pwned") == "undefined"
        assert page.evaluate("document.querySelectorAll('iframe, object, embed, svg [onload]').length") == 0
        assert dialogs == []
    finally:
        context.close()
