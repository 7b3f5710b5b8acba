"""The day Jupyter Book cannot be installed any more: the same pages with Sphinx alone, warnings as errors."""

import os
import re
import subprocess
import sys
from pathlib import Path

from grader.book.plain import write_project
from grader.book.site import Site


def sphinx(folder: Path, output: Path, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html", str(folder), str(output)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


def test_the_pages_build_without_jupyter_book_and_without_a_warning(
    student_site: Site, repository: Path, tmp_path: Path
) -> None:
    write_project(student_site.folder.parent / "src", tmp_path / "plain")
    conf = (tmp_path / "plain/conf.py").read_text(encoding="utf-8")
    assert "jupyter_book" not in conf
    assert "external_toc" not in conf
    done = sphinx(tmp_path / "plain", tmp_path / "html", repository)
    assert done.returncode == 0, done.stderr
    same = {path.relative_to(student_site.folder).as_posix() for path in student_site.folder.rglob("*.html")}
    assert same <= {path.relative_to(tmp_path / "html").as_posix() for path in (tmp_path / "html").rglob("*.html")}
    page = (tmp_path / "html/chapters/01-tiny/tiny.html").read_text(encoding="utf-8")
    assert "katex-mathml" in page
    assert "1.1 add-up: the visible checks pass" in page
    assert re.search(r'href="\.\./\.\./library/01-tiny\.html"', page), "the contents are in the sidebar"


def test_a_lost_reference_fails_the_plain_build_too(student_site: Site, repository: Path, tmp_path: Path) -> None:
    write_project(student_site.folder.parent / "src", tmp_path / "plain")
    index = tmp_path / "plain/index.md"
    index.write_text(f"{index.read_text(encoding='utf-8')}\n[](#nowhere)\n", encoding="utf-8")
    done = sphinx(tmp_path / "plain", tmp_path / "html", repository)
    assert done.returncode != 0
    assert "nowhere" in done.stderr
