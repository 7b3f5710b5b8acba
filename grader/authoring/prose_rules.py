"""What must hold of a page's text: directives and roles have a rule, links and citations lead somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

from grader.authoring.citations import load_references
from grader.authoring.directives import DIRECTIVES, IMAGES, REMEDY, ROLES, split_role
from grader.authoring.markup import INLINE, VERBATIM, Directive, Inline, Text, inlines
from grader.authoring.page import Page
from grader.authoring.problems import Problems
from grader.authoring.quiz import QuizError, parse_quiz
from grader.authoring.targets import References, targets_of
from grader.course import Course
from grader.errors import AuthoringError
from grader.loading import load_mistakes

STRAY = re.compile(r"^[ ]*(?P<fence>:{3,}.*)$", re.MULTILINE)
UNSHOWABLE = {
    re.compile(r"\[\^[\w-]+\]"): (
        "a footnote",
        "notebooks have none: say it in the sentence or in an admonition",
    ),
    re.compile(r"\{\{.+?\}\}"): ("a substitution", "write the words themselves"),
    re.compile(r"<!--"): (
        "an HTML comment, which readers can see",
        "write a note to yourself as a line `% …`",
    ),
    re.compile(r"<(script|style|iframe)\b"): ("raw HTML that notebooks do not show", "take it out"),
}


class Prose:
    """The rules of one page's text, with what they look things up in."""

    def __init__(self, course: Course, page: Page, problems: Problems) -> None:
        self.course = course
        self.page = page
        self.problems = problems
        self.references = References(course, page)
        self.blamed: set[int] = set()
        self.bibliography = course.root / "book" / "references.bib"
        try:
            self.keys = set(load_references(self.bibliography))
        except AuthoringError as error:
            problems.take(error)
            self.keys = set()

    def check(self) -> None:
        """Report everything in the text that breaks a rule."""
        targets_of(self.page, self.problems)
        for block in self.page.blocks():
            if isinstance(block, Text):
                self._text(block)
            elif isinstance(block, Directive):
                self._directive(block)

    def complain(self, line: int, problem: str, remedy: str) -> None:
        """Note one problem of the page."""
        self.problems.add(self.page.path, line, problem, remedy)

    def _text(self, block: Text) -> None:
        for match in STRAY.finditer(block.text):
            line = block.line + block.text.count("\n", 0, match.start("fence"))
            self.complain(
                line,
                f"{match['fence']!r} opens no directive and closes none",
                "an outer fence needs more colons than the fences inside it",
            )
        bare = INLINE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), block.text)
        for pattern, (what, remedy) in UNSHOWABLE.items():
            for match in pattern.finditer(bare):
                self.complain(block.line + bare.count("\n", 0, match.start()), f"{what}: {match[0]}", remedy)
        for inline in inlines(block):
            check = getattr(self, f"_{inline.kind}", None)
            if check is not None:
                check(inline)

    def _role(self, inline: Inline) -> None:
        role, content = inline.match["role"], inline.match["content"]
        if role not in ROLES:
            self.complain(inline.line, f"no rule for the role {{{role}}}", f"use {', '.join(ROLES)}, or plain Markdown")
        elif role.startswith("cite"):
            for key in content.split(","):
                if key.strip() not in self.keys:
                    self.complain(
                        inline.line,
                        f"{key.strip()!r} is not in book/references.bib",
                        "add the entry, or correct the key",
                    )
        elif role in ("eq", "numref", "ref"):
            self._label(split_role(content)[1], inline.line, equation=role == "eq")
        elif role == "doc":
            target = split_role(content)[1]
            in_book = self.course.root / "book" / f"{target.lstrip('/')}.md"
            if self.references.chapter_of(target) is None and not in_book.is_file():
                self.complain(inline.line, f"there is no page {target!r}", "name a chapter's id, or a page of book/")

    def _label(self, label: str, line: int, equation: bool = False) -> None:
        target = self.references.find(label)
        if target is None:
            self.complain(line, f"nothing has the label {label!r}", "correct it, or write (label)= above a heading")
        elif equation and target.kind != "equation":
            self.complain(line, f"{label!r} is no equation but {_a(target.kind)}", "use {numref} or [](#label)")

    def _link(self, inline: Inline) -> None:
        href = inline.match["href"]
        if re.match(r"[a-z][a-z0-9+.-]*:", href):
            return
        path, _, label = href.partition("#")
        if not href:
            self.complain(inline.line, f"a link that leads nowhere: {inline.match[0]}", "write where it leads")
        elif path and self.references.chapter_of(path) is None:
            self.complain(
                inline.line,
                f"the link {href!r} leads to nothing that a reader has",
                "link to ../ID/PAGE.md of a chapter, to a #label, or to an address",
            )
        elif label or not path:
            self._label(label, inline.line)

    def _image(self, inline: Inline) -> None:
        self._picture(inline.match["image"], inline.match["alt"], inline.line)

    def _picture(self, source: str, alt: str, line: int) -> None:
        if not alt.strip():
            self.complain(line, f"the image {source} has no alt text", "say in words what it shows")
        path = image_path(self.page, source)
        if path is None:
            self.complain(line, f"the image {source} is outside the chapter's folder", "put it in figures/")
        elif not path.is_file():
            self.complain(line, f"there is no image {source}", f"put it in {self.page.chapter.id}/{source}")
        elif path.suffix.lower() not in IMAGES:
            self.complain(line, f"the image {source} is no {', '.join(IMAGES)}", "save it in one of these formats")

    def _directive(self, block: Directive) -> None:
        rule = DIRECTIVES.get(block.name)
        if rule is None:
            remedy = REMEDY.get(block.name, f"use one of {', '.join(DIRECTIVES)}")
            self.complain(block.line, f"no rule for the directive {{{block.name}}}", remedy)
            return
        self._closing(block)
        for key in block.options:
            if key not in rule.options:
                remedy = f"it takes {', '.join(rule.options) or 'no options'}"
                self.complain(block.option_lines[key], f"{{{block.name}}} has no option :{key}:", remedy)
        for what, text, mode in (
            ("title", block.argument, rule.argument),
            ("body", block.body.strip(), rule.body),
        ):
            if mode == "required" and not text and block.name != "exercise":
                self.complain(block.line, f"{{{block.name}}} without a {what}", f"write the {what}")
            elif mode == "none" and text:
                self.complain(block.line, f"{{{block.name}}} takes no {what}", f"take it out: {text.splitlines()[0]}")
        if block.name in ("figure", "image") and block.argument:
            self._picture(block.argument, block.options.get("alt", ""), block.line)
        elif block.name == "quiz" and block.body.strip():
            try:
                parse_quiz(block.body)
            except QuizError as error:
                line = block.line if error.line is None else block.body_line + error.line
                self.complain(line, error.problem, error.remedy)
        elif block.name == "mistakes" and block.argument:
            self._mistakes(block)

    def _closing(self, block: Directive) -> None:
        """A forgotten fence is closed by a later one, which then is missing there: name the culprit."""
        inner = [] if block.name in VERBATIM else block.blocks()
        for child in inner:
            if isinstance(child, Directive) and not child.closed:
                self.complain(
                    block.line,
                    f"{{{block.name}}} is not closed before {{{child.name}}} begins in line {child.line}",
                    "close it, or give the outer fence more colons than the inner one",
                )
                self.blamed.add(child.line)
        if not block.closed and block.line not in self.blamed:
            remedy = "end it with a fence as long as the first"
            self.complain(block.line, f"{{{block.name}}} is never closed", remedy)

    def _mistakes(self, block: Directive) -> None:
        try:
            known = {mistake.exercise for mistake in load_mistakes(self.page.chapter.mistakes)}
        except AuthoringError as error:
            self.problems.take(error)
            return
        if block.argument not in known:
            self.complain(
                block.line,
                f"mistakes.py has none for {block.argument!r}",
                f"it has some for {', '.join(sorted(known))}",
            )


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def image_path(page: Page, source: str) -> Path | None:
    """The file of an image that the page shows, or None where it is not inside the chapter's folder."""
    if re.match(r"[a-z][a-z0-9+.-]*:|/", source):
        return None
    folder = page.chapter.folder.resolve()
    path = (folder / unquote(source)).resolve()
    return path if path.is_relative_to(folder) else None
