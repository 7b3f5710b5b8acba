"""What must never be published: the lines of answers, of hidden checks, and of modules that hold answers.

A secret is one line, with white space, quotes and backslashes taken out, so that it is found again in
highlighted HTML, in JSON and in a wrapped paragraph. Lines that are public anyway (in the visible part of a
page, in the library that students get, in the documentation of the hidden-check API) and lines that could be
anybody's are left out.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.course import Chapter, Course, module_matches, module_name

MIN_LENGTH = 20
"""Characters left of a line: shorter ones (`return total`) occur by chance."""

MIN_WORDS = 3
"""Different words in a line; `x = x.reshape(-1, 1)` is anybody's."""

REGION = {
    "solution": re.compile(r"### BEGIN SOLUTION.*?### END SOLUTION", re.DOTALL),
    "hidden test": re.compile(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", re.DOTALL),
}

EVERYTHING = frozenset({"solution", "hidden test", "hidden check", "mistake", "alternative", "library"})
"""The kinds of secrets; an instructor's edition may show solutions and modules, never the checks."""

BESIDES_ANSWERS = frozenset({"hidden test", "hidden check"})

STRING = re.compile(r"""(?:\b[rfRF]{1,2})?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Secret:
    """One line that must not be published.

    Attributes:
        text: the line as `squeeze` leaves it.
        kind: one of `EVERYTHING`.
        place: `file:line`, relative to the course.
        owner: what a reader would learn: one chapter's solutions, one module.
        names: identifiers of the line that a search index would list.
        quoted: whether it is a sentence in quotes and nothing else, such as the words of a verdict.
    """

    text: str
    kind: str
    place: str
    owner: str
    names: frozenset[str] = frozenset()
    quoted: bool = False


def squeeze(text: str) -> str:
    r"""Take out what markup, quoting and wrapping change.

    >>> squeeze('  say = "it is\\n so"')
    'say=itisnso'
    """
    return re.sub(r"[\s\"'`\\]+", "", text)


def is_quoted(line: str) -> bool:
    """Whether a line of Python is nothing but strings and the signs between them.

    >>> is_quoted('    "a share is part of a whole",'), is_quoted('    return wrong("no")')
    (True, False)
    """
    return STRING.search(line) is not None and not re.search(r"\w", STRING.sub("", line))


def secrets_of(
    course: Course,
    through: str | None = None,
    kinds: frozenset[str] = EVERYTHING,
    with_library: bool = True,
) -> list[Secret]:
    """The secrets of a course that is published up to the chapter `through` (whole without it).

    Args:
        course: the course.
        through: the last chapter that readers have.
        kinds: what is secret.
        with_library: whether readers have the library up to that chapter, as students do, in which the answers of
            earlier chapters stand. Readers of the site have not.
    """
    published = published_chapters(course, through)
    visible = list(course.settings["library"]["floor"])
    if with_library and published:
        # the last chapter's own module is an answer
        visible = course.library_slice(published[-1])
    public = _public_text(course, published, visible, kinds)
    # a committed page of the book may speak of a name (never quote a line): the search index then lists it
    spoken = public + squeeze("\n".join(path.read_text(encoding="utf-8") for path in _book_pages(course)))
    described = _data_text(course, published)
    # the site's reference tells how to call what published chapters build; a bundle has no such page
    signatures, docstrings = ("", "") if with_library else _told_text(course, published)
    # how something is called answers nothing; a docstring excuses no line of a solution or a hidden check
    public += signatures
    spoken += signatures + docstrings
    found: dict[str, Secret] = {}
    for path, line, owner, kind, text in _candidates(course, visible):
        if kind not in kinds:
            continue
        squeezed = squeeze(text)
        if squeezed in found or not _specific(text, squeezed) or squeezed in public:
            continue
        quoted = is_quoted(text)
        if kind == "library" and (squeezed in docstrings or (quoted and squeezed in described)):
            continue
        place = f"{path.relative_to(course.root).as_posix()}:{line}"
        names = frozenset(word for word in WORD.findall(text) if _is_name(word) and word not in spoken)
        found[squeezed] = Secret(squeezed, kind, place, f"{kind} in {owner}", names, quoted)
    return list(found.values())


def published_chapters(course: Course, through: str | None) -> tuple[Chapter, ...]:
    """The chapters up to and including `through`."""
    if through is None:
        return course.chapters
    last = course.chapters.index(course.chapter(through))
    return course.chapters[: last + 1]


def library_of(course: Course, published: tuple[Chapter, ...]) -> list[Path]:
    """The library's files, relative to its root, that students have who got these chapters and no later one.

    The modules are those of the last chapter's slice. Data that is given on request is there for each of the
    chapters that asked for it.
    """
    files = {relative for chapter in published for relative in course.library_files(chapter)}
    return sorted(files)


def _specific(text: str, squeezed: str) -> bool:
    if len(squeezed) < MIN_LENGTH or re.match(r"\s*(from \S+ )?import ", text):
        return False
    # feedback tells every student the criteria and their points
    return not re.match(r"\s*(exercise|uses|criteria) = ", text) and len(set(WORD.findall(text))) >= MIN_WORDS


def _is_name(word: str) -> bool:
    return len(word) >= 8 and "_" in word.strip("_") and not word.startswith("__")


def _candidates(course: Course, visible: list[str]) -> Iterator[tuple[Path, int, str, str, str]]:
    """(file, line, owner, kind, text) of every line that may be a secret, unpublished chapters included."""
    for chapter in course.chapters:
        if chapter.page.is_file():
            text = chapter.page.read_text(encoding="utf-8")
            for kind, region in REGION.items():
                for block in region.finditer(text):
                    first = text.count("\n", 0, block.start()) + 1
                    for offset, line in enumerate(block[0].split("\n")[1:-1], 1):
                        yield chapter.page, first + offset, chapter.id, kind, line
        if chapter.hidden.is_file():
            for number, line in enumerate(chapter.hidden.read_text(encoding="utf-8").split("\n"), 1):
                yield chapter.hidden, number, chapter.id, "hidden check", line
        for path, kind in ((chapter.mistakes, "mistake"), (chapter.alternatives, "alternative")):
            if path.is_file():
                yield from _codes(path, chapter.id, kind)
    for relative in course.library_files():
        if relative.suffix == ".py" and not module_matches(module_name(relative), visible):
            path = course.library_root / relative
            for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
                yield path, number, module_name(relative), "library", line


def _codes(path: Path, chapter_id: str, kind: str) -> Iterator[tuple[Path, int, str, str, str]]:
    """The lines of every `code=` argument. Beliefs are public: the page lists them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "code":
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    for offset, line in enumerate(part.value.split("\n")):
                        yield path, part.lineno + offset, chapter_id, kind, line


def _book_pages(course: Course) -> list[Path]:
    return sorted([*(course.root / "book").glob("*.md"), *(course.root / "book").glob("*/*.md")])


def _data_text(course: Course, published: tuple[Chapter, ...]) -> str:
    """The library's data files that students get: a card holds sentences of the module that wrote it."""
    texts = []
    for relative in library_of(course, published):
        if relative.suffix in (".json", ".md", ".txt"):
            texts.append((course.library_root / relative).read_text(encoding="utf-8"))
    return squeeze("\n".join(texts))


def _told_text(course: Course, published: tuple[Chapter, ...]) -> tuple[str, str]:
    """What the site's reference tells of the modules that published chapters build: signatures, and docstrings."""
    patterns = [pattern for chapter in published for pattern in chapter.owns]
    told: dict[bool, list[str]] = {True: [], False: []}
    for relative in course.library_files():
        if relative.suffix == ".py" and module_matches(module_name(relative), patterns):
            source = (course.library_root / relative).read_text(encoding="utf-8")
            lines = source.split("\n")
            for first, last, is_signature in _told_lines(ast.parse(source)):
                told[is_signature].append("\n".join(lines[first - 1 : last]))
    return squeeze("\n".join(told[True])), squeeze("\n".join(told[False]))


def _told_lines(node: ast.Module | ast.ClassDef) -> Iterator[tuple[int, int, bool]]:
    """First and last line of the signatures (fields included) and docstrings of public names; whether a signature."""
    for each in node.body:
        last = each.end_lineno or each.lineno
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not each.name.startswith("_") or each.name == "__init__":
                yield each.lineno, each.body[0].lineno - 1, True
                if isinstance(each, ast.ClassDef):
                    yield from _told_lines(each)
                elif ast.get_docstring(each) is not None:
                    yield each.body[0].lineno, each.body[0].end_lineno or 0, False
        elif isinstance(each, ast.AnnAssign) and isinstance(node, ast.ClassDef):
            yield each.lineno, last, True
        elif isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str):
            yield each.lineno, last, False


def _public_text(course: Course, published: tuple[Chapter, ...], visible: list[str], kinds: frozenset[str]) -> str:
    """What is public by itself, worked out here and not by the builder, whose mistakes this is to find.

    Where solutions or modules are no secret (`kinds`), they are public, and a hidden check may share their lines.
    """
    import grader.hidden

    pages: Iterable[str] = (chapter.page.read_text(encoding="utf-8") for chapter in published if chapter.page.is_file())
    texts = []
    for page in pages:
        for kind, region in REGION.items():
            if kind in kinds:
                page = region.sub("\n", page)
        texts.append(page)
    for relative in course.library_files():
        seen = "library" not in kinds or module_matches(module_name(relative), visible)
        if relative.suffix == ".py" and seen:
            texts.append((course.library_root / relative).read_text(encoding="utf-8"))
    texts.append(Path(grader.hidden.__file__).read_text(encoding="utf-8"))
    return squeeze("\n".join(texts))
