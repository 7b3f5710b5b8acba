"""Which pages the book has, and the two files that tell Jupyter Book so, made from course.toml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grader.book.chapter import write_text
from grader.book.katex import find_katex
from grader.book.unpublished import without_unpublished
from grader.course import Chapter, Course
from grader.errors import AuthoringError

EXTENSIONS = [
    # Jupyter Book's own list without thebe, which calls the network from the reader's browser
    "jupyter_book",
    "myst_nb",
    "sphinx_external_toc",
    "sphinx_book_theme",
    "sphinx_comments",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "sphinxext.opengraph",
    "grader.book.dropdowns",
    "grader.book.katex",
]

GROUPS = {"teaching": "For instructors", "making": "For authors"}
"""Folders of `book/` beside its own pages, with the heading that the sidebar gives them."""

MADE = ("library", "references", "status", "terms")
"""Pages to look things up that are made while the book is built; those that somebody wrote come first."""

STATIC = Path(__file__).parent / "static"
"""The book's own style sheet and script."""

DOWNLOADS = "<!--downloads-->"
"""Stands where links to what readers take along will be: below the front page, and on the status page."""

HTML_ALONE = ("text/html", "application/vnd.jupyter.widget-view+json", "application/javascript")
"""Outputs that are no XHTML, or need a script; their cells have words as well."""

LAYOUT = ("_toc.yml", "_config.yml", "references.md")
"""The files that `write_layout` may write."""

REFERENCES = "# References\n\n```{bibliography}\n```\n"


def front_pages(course: Course, source: Path, missing: Mapping[str, str]) -> list[Path]:
    """Copy the committed pages of `book/` below `source`; returns the files written.

    Args:
        course: the course.
        source: the folder that Sphinx will read.
        missing: what this edition does not have (`unpublished_targets`).

    Raises:
        AuthoringError: when there is no front page.
    """
    book = course.root / "book"
    if not (book / "index.md").is_file():
        raise AuthoringError(book / "index.md", None, "the front page is missing", "write book/index.md")
    written = []
    folders = [book, *(book / name for name in GROUPS)]
    found = [path for folder in folders for kind in ("*.md", "*.bib", "*.svg") for path in folder.glob(kind)]
    for path in sorted(found):
        text = path.read_text(encoding="utf-8")
        if path == book / "index.md":
            text = f"{text.rstrip()}\n\n{DOWNLOADS}\n"
        if path.suffix == ".md":
            text = without_unpublished(text, missing)
        written.append(write_text(source / path.relative_to(book), text))
    return written


def write_layout(course: Course, chapters: tuple[Chapter, ...], source: Path) -> list[Path]:
    """Write _toc.yml, _config.yml and the page of references; returns the files written."""
    import yaml

    from grader.authoring.targets import book_docname

    pages = [source / f"{book_docname(chapter)}.ipynb" for chapter in chapters]
    cites = any("{cite" in path.read_text(encoding="utf-8") for path in [*pages, *source.rglob("*.md")])
    texts = {
        "_toc.yml": yaml.safe_dump(toc(course, chapters, source, references=cites), sort_keys=False),
        "_config.yml": yaml.safe_dump(config(course, source), sort_keys=False, allow_unicode=True),
    }
    if cites:
        texts["references.md"] = REFERENCES
    return [write_text(source / name, text) for name, text in texts.items()]


def toc(course: Course, chapters: tuple[Chapter, ...], source: Path, references: bool) -> dict[str, Any]:
    """Front page, chapters, reference pages, the pages of the groups."""
    from grader.authoring.targets import book_docname

    parts: list[dict[str, Any]] = []
    if chapters:
        rows = [
            {
                "file": book_docname(chapter),
                "title": f"{int(chapter.id[:2])}\N{NO-BREAK SPACE}\N{MIDDLE DOT} {chapter.title}",
            }
            for chapter in chapters
        ]
        parts.append({"caption": "Chapters", "chapters": rows})
    found = {path.stem for path in source.glob("*.md")} - {"index", "references"}
    extra = sorted(found | ({"references"} if references else set()), key=lambda name: (name in MADE, name))
    if extra:
        library = sorted((source / "library").glob("*.md"), key=lambda path: (path.stem[:1].isdigit(), path.stem))
        pages_below = {"library": [{"file": f"library/{path.stem}"} for path in library]}
        pages: list[dict[str, Any]] = [{"file": name} for name in extra]
        for page in pages:
            if below := pages_below.get(page["file"]):
                page["sections"] = below
        parts.append({"caption": "To look up", "chapters": pages})
    for folder, caption in GROUPS.items():
        names = sorted((path.stem for path in (source / folder).glob("*.md")), key=lambda stem: (stem == "log", stem))
        if names:
            parts.append({"caption": caption, "chapters": [{"file": f"{folder}/{name}"} for name in names]})
    return {"format": "jb-book", "root": "index", "parts": parts}


def config(course: Course, source: Path) -> dict[str, Any]:
    """Jupyter Book's settings."""
    about = course.settings["course"]
    bibliographies = sorted(path.name for path in source.glob("*.bib"))
    favicon = {"html_favicon": "favicon.svg"} if (source / "favicon.svg").is_file() else {}
    return {
        "title": about["title"],
        "author": about["author"],
        "copyright": about["author"],
        "only_build_toc_files": True,
        "execute": {"execute_notebooks": "off", "stderr_output": "show"},
        "parse": {"myst_enable_extensions": ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]},
        "html": {"use_multitoc_numbering": False, "home_page_in_navbar": True},
        "latex": {"use_jupyterbook_latex": False},
        "sphinx": {
            "config": {
                "extensions": EXTENSIONS,
                "language": about.get("language", "en"),
                "katex_folder": str(find_katex(course.root)),
                "html_math_renderer": "katex",
                "bibtex_bibfiles": bibliographies,
                "bibtex_reference_style": "author_year",
                "nb_merge_streams": True,
                "nb_code_prompt_show": "Show the code",
                "nb_code_prompt_hide": "Hide the code",
                # what is copied from an example is what one types
                "copybutton_prompt_text": r">>> |\.\.\. ",
                "copybutton_prompt_is_regexp": True,
                "myst_heading_anchors": 3,
                "html_static_path": [str(STATIC)],
                "html_css_files": ["course.css"],
                "html_js_files": ["quiz.js"],
                "html_copy_source": False,
                # the book has an index of its own, and options begin with two dashes
                "html_use_index": False,
                "smartquotes_action": "qe",
                "html_show_sourcelink": False,
                "html_context": {"default_mode": "auto"},
                "html_theme_options": theme_options(about),
                "ogp_site_url": "",
                "ogp_site_name": about["title"],
                "ogp_social_cards": {"enable": False},
                "ogp_enable_meta_description": True,
                # the fonts of the formulas have no type that EPUB knows; the formulas themselves are MathML there
                "suppress_warnings": ["myst.domains", "epub.unknown_project_files"],
                **favicon,
                **epub_options(about),
            }
        },
    }


def epub_options(about: dict[str, Any]) -> dict[str, Any]:
    """What Sphinx wants to know of an EPUB. A figure that needs script or HTML appears there as its words."""
    return {
        "version": about["edition"],
        "epub_basename": about["slug"],
        "epub_title": about["title"],
        "epub_author": about["author"],
        "epub_publisher": about["author"],
        "epub_identifier": f"{about['slug']}-{about['edition']}",
        "epub_uid": f"{about['slug']}-{about['edition']}",
        "epub_description": about["title"],
        "epub_tocscope": "includehidden",
        "epub_tocdepth": 2,
        "epub_show_urls": "no",
        "epub_use_index": False,
        "nb_mime_priority_overrides": [["epub", kind, None] for kind in HTML_ALONE],
    }


def theme_options(about: dict[str, Any]) -> dict[str, Any]:
    """The theme without its second navigation bar (with a second search field) and its remote buttons."""
    return {
        "logo": {"text": about["title"]},
        "search_bar_text": "Search this book",
        "home_page_in_toc": True,
        "show_navbar_depth": 1,
        "show_toc_level": 2,
        "navbar_start": [],
        "navbar_center": [],
        "navbar_end": [],
        "navbar_persistent": [],
        "use_download_button": False,
        "use_fullscreen_button": False,
        "footer_content_items": ["extra-footer.html"],
        "extra_footer": f"{about['author']}. Edition {about['edition']}<!--commit-->. "
        "Text under CC BY 4.0, code under the BSD 3-Clause licence.",
    }
