"""Formulas drawn while the book is built: a Sphinx extension that asks one node process with KaTeX.

Pages need no script for their formulas, and a formula that KaTeX cannot read is a warning with its place, so
it fails a strict build. KaTeX itself (script, style sheet, fonts) comes from Debian's libjs-katex or from
npm.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from grader.errors import EnvironmentProblem

DEBIAN = Path("/usr/share/javascript/katex")
SERVER = Path(__file__).parent / "katex.cjs"


def find_katex(root: Path) -> Path:
    """The folder with katex.min.js, katex.min.css and fonts/.

    Raises:
        EnvironmentProblem: when node or KaTeX is missing; the message says how to install it.
    """
    if shutil.which("node") is None:
        raise EnvironmentProblem(
            "the book's formulas need node, which is not on PATH",
            "run `make setup`, or `apt-get install nodejs` (elsewhere: nodejs.org's installer)",
        )
    for folder in (root / "book" / "node_modules" / "katex" / "dist", DEBIAN):
        if (folder / "katex.min.js").is_file() and (folder / "fonts").is_dir():
            return folder
    raise EnvironmentProblem(
        "the book's formulas need KaTeX, which is not installed",
        "run `make setup`, or `apt-get install libjs-katex` (elsewhere: `npm install --prefix book katex`)",
    )


class Renderer:
    """One node process for a whole build; formulas that were drawn before are remembered."""

    def __init__(self, katex: Path, output: str = "htmlAndMathml") -> None:
        self.katex = katex
        self.output = output
        self.known: dict[tuple[str, bool], dict[str, str]] = {}
        self.process: subprocess.Popen[str] | None = None

    def render(self, tex: str, display: bool) -> dict[str, str]:
        """`{"html": …}`, or `{"error": …}` in KaTeX's words.

        The protocol is one line out, one line in: no time limit and no port, so nothing races on a busy
        machine.
        """
        key = (tex, display)
        if key not in self.known:
            if self.process is None:
                self.process = subprocess.Popen(
                    ["node", str(SERVER), str(self.katex / "katex.min.js"), self.output],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                )
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.write(json.dumps({"tex": tex, "display": display}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            if not line:
                raise EnvironmentProblem("node ended while it drew a formula", f"try it: node {SERVER.name}")
            self.known[key] = json.loads(line)
        return self.known[key]

    def close(self) -> None:
        """End the node process."""
        if self.process is not None:
            self.process.communicate()
            self.process = None


def display_tex(text: str, verbatim: bool = False) -> str:
    r"""Several lines joined by `\\` need an environment, as Sphinx and MathJax supply one.

    >>> display_tex(r"a \\ b")
    '\\begin{aligned}a \\\\ b\\end{aligned}'
    """
    if verbatim or r"\begin" in text or r"\\" not in text:
        return text
    return rf"\begin{{aligned}}{text}\end{{aligned}}"


def copy_assets(katex: Path, static: Path) -> None:
    """KaTeX's style sheet and its woff2 fonts; every browser of the last ten years reads woff2."""
    target = static / "katex"
    (target / "fonts").mkdir(parents=True, exist_ok=True)
    css = (katex / "katex.min.css").read_text(encoding="utf-8")
    css = re.sub(r",url\([^)]*\) format\([\"'](?:woff|truetype)[\"']\)", "", css)
    (target / "katex.css").write_text(css, encoding="utf-8")
    for font in sorted((katex / "fonts").glob("*.woff2")):
        shutil.copyfile(font, target / "fonts" / font.name)


def _html(translator: Any, node: Any, display: bool) -> str:
    from sphinx.util import logging

    tex = node.astext().strip()
    answer = translator.builder.katex.render(display_tex(tex, bool(node.get("nowrap"))) if display else tex, display)
    if "error" in answer:
        logging.getLogger(__name__).warning(
            "the formula %r cannot be drawn: %s", tex, answer["error"], location=node, type="katex"
        )
    return str(answer.get("html", ""))


def _visit_inline(translator: Any, node: Any) -> None:
    from docutils.nodes import SkipNode

    html = _html(translator, node, display=False)
    translator.body.append(f'<span class="math notranslate nohighlight">{html}</span>')
    raise SkipNode


def _visit_block(translator: Any, node: Any) -> None:
    from docutils.nodes import SkipNode
    from sphinx.util.math import get_node_equation_number

    number = ""
    if node.get("number"):
        number = f'<span class="eqno">({get_node_equation_number(translator, node)})</span>'
    # a formula wider than a phone scrolls by itself; tabindex lets a keyboard reach it
    opening = translator.starttag(node, "div", CLASS="math notranslate nohighlight", tabindex="0")
    translator.body.append(f"{opening}{number}{_html(translator, node, display=True)}</div>\n")
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer with Sphinx; `katex_folder` says where KaTeX is."""

    def begin(app: Any) -> None:
        # readers of an EPUB draw MathML themselves, and few know KaTeX's style sheet
        output = "mathml" if app.builder.name == "epub" else "htmlAndMathml"
        app.builder.katex = Renderer(Path(app.config.katex_folder), output)

    def style(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
        if app.builder.name != "epub" and app.env.get_domain("math").has_equations(page):
            app.add_css_file("katex/katex.css")

    def end(app: Any, error: Exception | None) -> None:
        renderer = getattr(app.builder, "katex", None)
        if renderer is not None:
            renderer.close()
            if error is None and app.builder.name != "epub":
                copy_assets(renderer.katex, Path(app.outdir) / "_static")

    app.add_config_value("katex_folder", str(DEBIAN), "env")
    app.add_html_math_renderer("katex", (_visit_inline, None), (_visit_block, None))
    app.connect("builder-inited", begin)
    app.connect("html-page-context", style)
    app.connect("build-finished", end)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
