"""The library reference: signatures and docstrings, read from the source text, which is never imported or shown.

A page for each published chapter holds what its modules offer by name; one more holds what every chapter may use.
"""

import ast
import re
from dataclasses import dataclass

from grader.authoring.page import chapter_number
from grader.book.docstrings import Documented, Lines, fence, markdown_of, public_names, signature
from grader.course import Chapter, Course, module_matches, module_name


@dataclass(frozen=True)
class Entry:
    """One public name of the library.

    Attributes:
        name: as its module has it.
        module: where it is written.
        package: the package that offers it as well; the module where none does.
        label: what links to it.
        markdown: its heading, signature and docstring.
    """

    name: str
    module: str
    package: str
    label: str
    markdown: str


@dataclass(frozen=True)
class Part:
    """The modules of one chapter, or the floor that every chapter may import (no chapter)."""

    chapter: Chapter | None
    entries: tuple[Entry, ...]
    introductions: dict[str, str]
    """What each module's docstring says, in the order of the page."""

    @property
    def docname(self) -> str:
        """The page, without suffix."""
        return f"library/{self.chapter.id if self.chapter else 'for-every-chapter'}"

    @property
    def title(self) -> str:
        """The page's title."""
        return f"Library: chapter {chapter_number(self.chapter)}" if self.chapter else "Library: for every chapter"


def library_parts(course: Course, published: tuple[Chapter, ...]) -> list[Part]:
    """What readers may know of the library: the floor, and the modules that published chapters build."""
    rows: list[tuple[Chapter | None, list[str]]] = [(None, list(course.settings["library"]["floor"]))]
    rows += [(chapter, list(chapter.owns)) for chapter in published]
    paths = {module_name(path): path for path in course.library_files() if path.suffix == ".py"}
    sources = {name: (course.library_root / path).read_text(encoding="utf-8") for name, path in paths.items()}
    trees = {name: ast.parse(source) for name, source in sources.items()}
    lines = {name: source.encode().splitlines() for name, source in sources.items()}
    offered = {
        (str(node.module), alias.name): package
        for package in sorted(trees, reverse=True)
        if paths[package].name == "__init__.py"
        for node in trees[package].body
        if isinstance(node, ast.ImportFrom) and not node.level
        for alias in node.names
    }
    parts, labels = [], set()
    for chapter, patterns in rows:
        names = [name for name in trees if module_matches(name, patterns) and not re.search(r"\._|__main__", name)]
        entries, introductions = [], {}
        for name in names:
            introductions[name] = markdown_of(ast.get_docstring(trees[name]) or "")
            for word, node, told in public_names(trees[name].body):
                package = offered.get((name, word), name)
                label = f"library-{name}-{word}".lower().replace(".", "-").replace("_", "-")
                # a class and a function may differ by a capital letter alone
                label += "-2" if label in labels else ""
                labels.add(label)
                entries.append(Entry(word, name, package, label, _entry(word, node, told, lines[name], label)))
        parts.append(Part(chapter, tuple(entries), introductions))
    return [part for part in parts if part.introductions]


def reference_pages(course: Course, parts: list[Part]) -> dict[str, str]:
    """The pages by their names below the book's sources: the overview `library.md` and one for each part."""
    package = course.settings["library"]["package"]
    lines = [
        "# The library",
        "",
        f"`{package}` holds every part of the course, written by hand. These pages list what it offers by name: how it",
        "is called, which shapes go in and come out, what is refused, which paper it follows. The code is not here: it",
        "answers the exercises. Students get the modules of a chapter with the notebook of the next one.",
        "",
    ]
    pages = {}
    for part in parts:
        lines.append(f"## {_heading(part)}\n")
        for module, words in part.introductions.items():
            count = sum(entry.module == module for entry in part.entries)
            sentence = re.split(r"(?<=\.)\s", words.partition("\n\n")[0], maxsplit=1)[0].replace("\n", " ")
            label = f"[`{module}`](#{module_label(module)})" if count or words else f"`{module}`"
            lines.append(f"- {label}: {sentence}")
        lines.append("")
        pages[f"{part.docname}.md"] = _page(part)
    return {"library.md": "\n".join(lines), **pages}


def _heading(part: Part) -> str:
    if part.chapter is None:
        return "For every chapter"
    return f"Chapter {chapter_number(part.chapter)}: {part.chapter.title}"


def module_label(module: str) -> str:
    """What links to a module's section.

    >>> module_label("byhand.bert")
    'library-module-byhand-bert'
    """
    return f"library-module-{module.replace('.', '-').replace('_', '-')}"


def _page(part: Part) -> str:
    from grader.authoring.targets import book_docname

    if part.chapter is None:
        first = "Every notebook may import these modules."
    else:
        link = f"[](/{book_docname(part.chapter)}.ipynb)"
        first = f"Built in chapter {chapter_number(part.chapter)}, {link}; later chapters may import it."
    texts = [f"# {part.title}\n\n{first}"]
    for module, words in part.introductions.items():
        texts.append(f"({module_label(module)})=\n## {module}\n\n{words}".rstrip())
        entries = [entry for entry in part.entries if entry.module == module]
        package = next((entry.package for entry in entries if entry.package != module), None)
        if package:
            names = ", ".join(f"`{entry.name}`" for entry in entries if entry.package == package)
            texts.append(f"Also to be imported from `{package}`: {names}.")
        texts += [entry.markdown for entry in entries]
    return "\n\n".join(texts) + "\n"


def _entry(name: str, node: Documented | None, words: str, lines: Lines, label: str) -> str:
    texts = [f"({label})=\n### {name}"]
    if node is not None:
        texts.append(fence("python", signature(node, lines)))
    texts.append(markdown_of(words))
    if isinstance(node, ast.ClassDef):
        members = list(public_names(node.body))
        texts += [f"- `{field}`: {markdown_of(told)}" for field, each, told in members if each is None]
        for _, method, told in members:
            if isinstance(method, ast.FunctionDef):
                texts += [fence("python", signature(method, lines, node.name)), markdown_of(told)]
    return "\n\n".join(text for text in texts if text)
