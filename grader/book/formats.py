"""The site to take along: a zip that opens without a server, a PDF of each chapter, and an EPUB.

Each is made from the finished, mended pages or by Sphinx from the same sources, and lies in the site's
`downloads/`, where the leak check reads it as it reads every file.
"""

import posixpath
import re
import shutil
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import EnvironmentProblem

KINDS = {"zip": "the whole site as a zip", "epub": "EPUB", "pdf": "a PDF of each chapter"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

STYLE_SHEET = re.compile(r'<link rel="stylesheet"[^>]* href="([^"]*)"[^>]*/>')

SUMMARY = re.compile(r'<summary([^>]*)>\s*<p class="collapsed[^"]*">([^<]*)</p>.*?</summary>', re.DOTALL)
"""A summary is a line and holds no paragraphs, one for each state."""

TO_PAPER = """open => {
    // on paper nothing can be opened, and the other pages are not there
    for (const each of document.querySelectorAll('details')) each.open = open;
    for (const link of document.querySelectorAll('a[href]')) {
        const place = link.getAttribute('href');
        if (!place.startsWith('#') && !/^https?:/.test(place)) link.removeAttribute('href');
    }
    // a picture is fetched when it comes into view, and nothing comes into view here
    for (const image of document.images) image.loading = 'eager';
    return Promise.all([document.fonts.ready, ...[...document.images].map(image => image.decode())]).then(() => true);
}"""

FOOTER = """<div style="width: 100%; font: 8px sans-serif; color: #555; padding: 0 15mm; display: flex">
<span style="flex: 1">{title}</span><span class="pageNumber"></span></div>"""


@dataclass(frozen=True)
class Download:
    """A file that readers take along."""

    kind: str
    path: Path
    docname: str = ""
    """The chapter's page, where it is that page alone."""


def find_browser() -> str:
    """The Chromium that prints.

    Raises:
        EnvironmentProblem: when it, or the library that drives it, is missing; the message says what to install.
    """
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError as error:
        raise EnvironmentProblem(
            "PDFs are printed by Chromium, and Playwright, which drives it, is not installed",
            "run `python -m pip install playwright`, or leave out --pdf",
        ) from error
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise EnvironmentProblem(
        "PDFs are printed by Chromium, which is not on PATH",
        "run `make setup`, or `apt-get install chromium` (elsewhere: install Chrome and put `chrome` on PATH), "
        "or leave out --pdf",
    )


def make_zip(site: Path, target: Path) -> Download:
    """The site as it is; the same site gives the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in site.rglob("*") if path.is_file() and path.parent != target.parent):
            _add(archive, f"{target.stem}/{path.relative_to(site).as_posix()}", path.read_bytes())
    return Download("zip", target)


def make_epub(built: Path, target: Path) -> Download:
    """Sphinx's EPUB as the standard wants it: formulas announced, no link to a style sheet that is not there."""
    with zipfile.ZipFile(built) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    pages = [name for name in files if name.endswith(".xhtml")]
    package = files["content.opf"].decode()
    for name in pages:
        text = files[name].decode().replace(' role="doc-biblioentry"', "")
        text = SUMMARY.sub(r"<summary\1>\2</summary>", text)

        def kept(link: re.Match[str], folder: str = posixpath.dirname(name)) -> str:
            return link[0] if posixpath.normpath(posixpath.join(folder, link[1])) in files else ""

        files[name] = STYLE_SHEET.sub(kept, text).encode()
        if "<math " in text:
            package = re.sub(rf'(<item id="[^"]*")( href="{re.escape(name)}")', r'\1 properties="mathml"\2', package)
    files["content.opf"] = package.encode()
    with zipfile.ZipFile(target, "w") as archive:
        # the first entry, unpacked, tells what the file is
        for name in sorted(files, key=lambda name: (name != "mimetype", name)):
            method = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            _add(archive, name, files[name], method)
    return Download("epub", target)


def _add(archive: zipfile.ZipFile, name: str, data: bytes, method: int = zipfile.ZIP_DEFLATED) -> None:
    """An entry that has neither a time nor an owner."""
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type, entry.external_attr = method, 0o644 << 16
    archive.writestr(entry, data)


def make_pdfs(site: Path, pages: Sequence[tuple[str, str]], folder: Path, with_solutions: bool) -> list[Download]:
    """Print pages of the site, one file each, without asking anything outside of it.

    Args:
        site: the finished site.
        pages: docname and title of each chapter.
        folder: where the files go, named after the pages' folders.
        with_solutions: whether what is folded is unfolded: the answers.
    """
    # Playwright refuses a thread in which an event loop runs, as in a notebook
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_print, site, pages, folder, with_solutions).result()


def _print(site: Path, pages: Sequence[tuple[str, str]], folder: Path, with_solutions: bool) -> list[Download]:
    from playwright.sync_api import sync_playwright

    made = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        context = browser.new_context(color_scheme="light", reduced_motion="reduce")
        context.route("**/*", _only_files)
        page = context.new_page()
        for docname, title in pages:
            place = site / f"{docname}.html"
            target = folder / f"{place.parent.name}.pdf"
            page.goto(place.as_uri(), wait_until="load")
            page.evaluate(TO_PAPER, with_solutions)
            page.pdf(
                path=target,
                format="A4",
                margin={"top": "18mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
                print_background=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOTER.format(title=title),
                tagged=True,
                outline=True,
            )
            made.append(Download("pdf", target, docname))
        browser.close()
    return made


def _only_files(route: Any) -> None:
    if route.request.url.startswith(("file:", "data:", "blob:")):
        route.continue_()
    else:
        route.abort()


def link_downloads(site: Path, downloads: Sequence[Download]) -> None:
    """Write links to what was made: all of them on the front page and the status page, its PDF on a chapter's."""
    whole = [_link(each, KINDS[each.kind], "") for each in downloads if not each.docname]
    chapters = [_link(each, each.path.stem, "") for each in downloads if each.docname]
    if chapters:
        whole.append(f"PDF: {', '.join(chapters)}")
    if whole:
        words = f'<p class="downloads">To take along: {" · ".join(whole)}</p>'
        for name in ("index.html", "status.html"):
            _replace(site / name, "<!--downloads-->", words)
    for each in downloads:
        if each.docname:
            page = f"{each.docname}.html"
            _replace(site / page, "<!--pdf-->", f" · {_link(each, 'PDF', '../' * page.count('/'))}")


def _link(download: Download, words: str, up: str) -> str:
    size = f" ({download.path.stat().st_size / 1e6:.1f} MB)" if not download.docname else ""
    return f'<a href="{up}downloads/{download.path.name}">{words}</a>{size}'


def _replace(page: Path, mark: str, words: str) -> None:
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace(mark, words), encoding="utf-8")
