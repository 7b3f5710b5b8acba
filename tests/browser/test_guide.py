"""The figure of the authors' guide, worked by keyboard: whoever copies it begins with one that works."""

from pathlib import Path

import numpy as np
import pytest
from byhand.widgets import widget
from playwright.sync_api import Browser

from grader.loading import load_module
from tests.grader.authoring.guide import files_of_the_guide

from .test_pages import Watch

pytestmark = [pytest.mark.browser]


def test_the_guides_figure_says_what_it_was_given(
    chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {Path(name).name: text for name, text in files_of_the_guide().items() if "/widgets/" in name}
    ours = widget._file
    monkeypatch.setattr(widget, "_file", lambda name: files.get(name) or ours(name))
    (tmp_path / "figure.py").write_text(files["penalties.py"], encoding="utf-8")
    made = load_module(tmp_path / "figure.py").penalty_slider(
        ["sea", "</script>"], np.array([[0.502, 0.498], [0.25, 0.75], [0.1, 0.9]]), [1, 1.2, 2]
    )
    page = '<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>A figure</title>'
    (tmp_path / "figure.html").write_text(page + made.html, encoding="utf-8")
    watch = Watch(chromium.new_context(), "file://")
    watch.page.goto((tmp_path / "figure.html").as_uri())
    said, slider = watch.page.locator(".said"), watch.page.get_by_label("Penalty")
    assert said.inner_text() == "At 1: sea 50 %, </script> 50 %."
    slider.press("ArrowRight")
    assert said.inner_text() == "At 1.2: sea 25 %, </script> 75 %."
    slider.press("End")
    assert said.inner_text() == "At 2: sea 10 %, </script> 90 %."
    assert slider.get_attribute("aria-valuetext") == "2"
    watch.page.context.close()
    assert not watch.problems
