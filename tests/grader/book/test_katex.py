"""Formulas are drawn by one node process, and a wrong one is an error with KaTeX's words."""

from pathlib import Path

import pytest

from grader.book import katex
from grader.book.katex import Renderer, copy_assets, display_tex, find_katex
from grader.errors import EnvironmentProblem


def test_many_formulas_share_one_process_and_come_back_in_order(repository: Path) -> None:
    renderer = Renderer(find_katex(repository))
    first = renderer.render("x_1", False)
    process = renderer.process
    answers = [renderer.render(f"x_{{{number}}} + \\alpha", number % 2 == 0) for number in range(30)]
    assert renderer.process is process
    for number, answer in enumerate(answers):
        assert f"x_{{{number}}} + \\alpha</annotation>" in answer["html"]
        assert ("katex-display" in answer["html"]) == (number % 2 == 0)
    assert renderer.render("x_1", False) == first
    renderer.close()
    assert process is not None
    assert process.returncode == 0


@pytest.mark.parametrize("tex", [r"\frac{1}", r"\nosuchmacro{x}", "x^", r"\text{Überschrift} ü"])
def test_bad_tex_is_an_error_and_the_next_formula_is_drawn(tex: str, repository: Path) -> None:
    renderer = Renderer(find_katex(repository))
    assert "error" in renderer.render(tex, True)
    assert "html" in renderer.render("a = b", True)
    renderer.close()


def test_lines_are_aligned_and_environments_left_alone(repository: Path) -> None:
    renderer = Renderer(find_katex(repository))
    assert "html" in renderer.render(display_tex(r"a &= b \\ c &= d"), True)
    assert display_tex(r"\begin{cases} a \\ b \end{cases}") == r"\begin{cases} a \\ b \end{cases}"
    assert display_tex(r"a \\ b", verbatim=True) == r"a \\ b"
    renderer.close()


def test_every_font_the_style_sheet_names_is_in_the_site(repository: Path, tmp_path: Path) -> None:
    import re

    copy_assets(find_katex(repository), tmp_path)
    css = (tmp_path / "katex" / "katex.css").read_text(encoding="utf-8")
    named = set(re.findall(r"url\(([^)]*)\)", css))
    assert len(named) == 20
    assert all(name.endswith(".woff2") and (tmp_path / "katex" / name).is_file() for name in named)


def test_without_node_or_katex_the_error_says_how_to_install_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(katex, "DEBIAN", tmp_path / "nowhere")
    with pytest.raises(EnvironmentProblem, match=r"(?s)needs? KaTeX.*apt-get install libjs-katex"):
        find_katex(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match=r"(?s)needs? node.*apt-get install nodejs"):
        find_katex(tmp_path)


def test_npms_katex_wins_over_debians(tmp_path: Path) -> None:
    dist = tmp_path / "book/node_modules/katex/dist"
    (dist / "fonts").mkdir(parents=True)
    (dist / "katex.min.js").write_text("")
    assert find_katex(tmp_path) == dist
