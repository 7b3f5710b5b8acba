"""A student's notebook in JupyterLab: it runs, and nbgrader's Validate button says what it should."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, Page

from grader.authoring import load_page
from grader.authoring.notebooks import as_text, source_notebook, student_notebook
from grader.course import Chapter, load_course

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE = 240_000
"""Milliseconds until a kernel on a busy machine counts as dead."""

FIGURES = (
    """import numpy as np
from byhand.widgets import attention_map, cluster_map
attention_map(["the", "cat", "sat"], np.eye(3) * np.ones((2, 2, 1, 1)))""",
    """plane = np.array([[0.0, 0], [0, 1], [0, 3], [5, 5]])
cluster_map(["a", "b", "c", "d"], plane, plane, np.array([0, 0, 0, 1]), [1])""",
)


@pytest.fixture(scope="module")
def chapter(repository: Path) -> Chapter:
    """The first chapter of the real course."""
    return load_course(repository).chapters[0]


@pytest.fixture(scope="module")
def labels(repository: Path, chapter: Chapter) -> list[str]:
    """Its exercises."""
    return [exercise.label for exercise in load_page(load_course(repository), chapter).exercises]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, repository: Path, chapter: Chapter) -> Path:
    """What a student has: the notebook, untouched and solved, and the chapter's part of the library."""
    course = load_course(repository)
    root = tmp_path_factory.mktemp("lab")
    for path in course.library_files(chapter):
        (root / "library" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(course.library_root / path, root / "library" / path)
    student = student_notebook(course, chapter)
    work = root / "work"
    work.mkdir()
    (work / "untouched.ipynb").write_text(as_text(student), encoding="utf-8")
    answers = {cell.id: cell.source for cell in source_notebook(course, chapter).cells}
    for cell in student.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = answers[cell.id]
    (work / "solved.ipynb").write_text(as_text(student), encoding="utf-8")
    figure = new_notebook(cells=[new_code_cell(each) for each in FIGURES], metadata=student.metadata)
    (work / "figure.ipynb").write_text(nbformat.writes(figure), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[str]:
    """JupyterLab on a free port, with settings of its own and nbgrader's extensions as they are installed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "HOME": "home",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    for name in own.values():
        (folder / name).mkdir()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={folder / 'work'}"]
    # no question about news from the network in the corner
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (folder / "config" / "labconfig").mkdir()
    (folder / "config" / "labconfig" / "page_config.json").write_text(json.dumps(quiet), encoding="utf-8")
    environment = {
        **os.environ,
        **{key: str(folder / name) for key, name in own.items()},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "library"),
        "OMP_NUM_THREADS": "1",
    }
    with (folder / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            _wait(f"http://127.0.0.1:{port}/api", server, folder / "lab.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")


def open_notebook(browser: Browser, lab: str, name: str) -> Page:
    """The notebook in a fresh profile, its kernel ready."""
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{lab}/lab/tree/{name}?reset")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    return page


def run_all(page: Page, path: Path) -> dict[str, str]:
    """Run every cell and save; what each code cell put out, by the cell's id, as it is in the file."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    for _ in range(PATIENCE // 1000):
        page.wait_for_timeout(1000)
        page.keyboard.press("Control+s")
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:  # the server writes in place, and this is the middle of it
            continue
        cells = [cell for cell in saved["cells"] if "outputs" in cell]
        if cells[-1]["execution_count"] == len(cells):
            return {cell["id"]: json.dumps(cell["outputs"]) for cell in cells}
    pytest.fail("the notebook did not run to its end")


def validate(page: Page) -> str:
    """Press nbgrader's button and read what it says, once it has read a whole notebook.

    JupyterLab writes a notebook in place and nbgrader reads it from another process: a save still under way shows an
    empty file, and the remedy is to press again.
    """
    for _ in range(10):
        page.locator(".jp-NotebookPanel-toolbar").get_by_text("Validate", exact=True).click()
        dialog = page.locator(".jp-Dialog", has_text="Validation Results")
        dialog.wait_for()
        words = dialog.inner_text()
        if "NotJSONError" not in words:
            return words
        dialog.get_by_role("button", name="Ok").click()
        dialog.wait_for(state="detached")
        page.wait_for_timeout(1000)
    pytest.fail(f"nbgrader never read a whole notebook:\n{words}")


def test_an_untouched_notebook_runs_to_its_end_fails_its_checks_and_does_not_validate(
    chromium: Browser, lab: str, folder: Path, labels: list[str]
) -> None:
    page = open_notebook(chromium, lab, "untouched.ipynb")
    outputs = run_all(page, folder / "work" / "untouched.ipynb")
    for label in labels:
        assert "this exercise is not solved yet" in outputs[f"{label}-checks"]
        assert '"output_type": "stream"' not in outputs[f"{label}-checks"], "a failed check prints no success"
    graded = {f"{label}{part}" for label in labels for part in ("", "-checks")}
    broken = [cell for cell, shown in outputs.items() if cell not in graded and '"output_type": "error"' in shown]
    assert not broken, "with all exercises open, stand-ins carry the page to its end"
    words = validate(page)
    assert "Success" not in words
    assert words.count("The following cell failed") == len(labels)
    assert "this exercise is not solved yet" in words
    page.context.close()


def test_a_solved_notebook_passes_its_checks_and_validates(
    chromium: Browser, lab: str, folder: Path, labels: list[str]
) -> None:
    page = open_notebook(chromium, lab, "solved.ipynb")
    outputs = run_all(page, folder / "work" / "solved.ipynb")
    for label in labels:
        assert "the visible checks pass" in outputs[f"{label}-checks"]
    assert not [cell for cell, shown in outputs.items() if '"output_type": "error"' in shown]
    assert "Success! Your notebook passes all the tests." in validate(page)
    page.context.close()


def test_an_interactive_figure_is_worked_by_keyboard_and_its_keys_are_not_the_notebooks(
    chromium: Browser, lab: str, folder: Path
) -> None:
    page = open_notebook(chromium, lab, "figure.ipynb")
    run_all(page, folder / "work" / "figure.ipynb")
    said = page.locator("[data-live] .said").first
    assert said.inner_text() == "Layer 1, head 1: “cat” (place 2) looks at itself 100 %."
    page.locator("[data-live] select").first.focus()
    page.keyboard.press("ArrowDown")
    page.locator("[data-live] button[tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    assert said.inner_text() == "Layer 2, head 1: “sat” (place 3) looks at itself 100 %."
    drawn = page.locator("[data-figure^=cluster]")
    drawn.locator("input").focus()
    page.keyboard.press("ArrowRight")
    assert drawn.locator(".said").inner_text().endswith("Place 2: “a”."), "the slider moved, not the notebook's cursor"
    drawn.locator("select").focus()
    page.keyboard.press("ArrowDown")
    assert drawn.locator(".said").inner_text() == "Cluster 2: 1 text. None was chosen. Place 1: “d”."
    box = drawn.locator("svg").bounding_box()
    assert box
    assert min(box["width"], box["height"]) > 200
    page.context.close()
