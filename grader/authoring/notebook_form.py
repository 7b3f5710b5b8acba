"""A page's text as plain Markdown and HTML, for programs that know no MyST: JupyterLab, VS Code, Colab.

Directives become `<details>`, quotations with a bold title, or plain Markdown; roles become words and links;
images travel inside the cell. Display math is kept on one line inside a quotation, because JupyterLab takes
the mathematics out of a cell before it reads the `>` at the beginning of a line.
"""

import base64
import re
from dataclasses import dataclass, field
from html import escape
from textwrap import indent
from typing import Any

from grader.authoring.citations import Reference, load_references
from grader.authoring.directives import IMAGES, PLAIN_ADMONITIONS, split_role
from grader.authoring.markup import INLINE, Block, Code, Directive, Text, blocks, inlines, kind_of
from grader.authoring.page import Page
from grader.authoring.prose_rules import image_path
from grader.authoring.quiz import parse_quiz
from grader.authoring.targets import References
from grader.course import Course
from grader.loading import load_mistakes

BELIEFS = "Each of these has led to a wrong answer:"
"""Above the misconceptions, which read like statements."""

DETAILS = "<details>\n<summary>{}</summary>\n\n{}\n\n</details>"


@dataclass
class NotebookForm:
    """Renders the Markdown cells of one page; `attachments` are those of the cell that was rendered last."""

    course: Course
    page: Page
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.references = References(self.course, self.page)
        self.bibliography = load_references(self.course.root / "book" / "references.bib")

    def cell(self, source: str) -> tuple[str, dict[str, dict[str, str]]]:
        """One Markdown cell's text and attachments."""
        self.attachments = {}
        return self._render(blocks(source, 1), quoted=False), self.attachments

    def _render(self, items: list[Block], quoted: bool) -> str:
        shown = [self._block(block, quoted).strip("\n") for block in items]
        return "\n\n".join(text for text in shown if text)

    def _block(self, block: Block, quoted: bool) -> str:
        if isinstance(block, Code):
            return block.text
        if isinstance(block, Text):
            return self._text(block.text, quoted)
        return indent(self._directive(block, quoted).strip("\n"), block.indent)

    # --- directives

    def _directive(self, block: Directive, quoted: bool) -> str:
        if block.name == "exercise":
            return self._exercise(block)
        if block.name == "mistakes":
            return self._mistakes(block)
        if block.name == "quiz":
            return self._quiz(block, quoted)
        if block.name in ("figure", "image"):
            return self._figure(block, quoted)
        if block.name == "math":
            label = block.options.get("label")
            return _anchor(label) + _display(f"\n{block.body.strip()}\n", self._number(label), quoted)
        if block.name in ("code", "code-block"):
            return f"```{block.argument}\n{block.body}\n```"
        if block.name == "table":
            caption = self._caption(block.options.get("name"), block.argument)
            return f"{caption}\n\n{self._render(block.blocks(), quoted)}"
        if block.name == "bibliography":
            return self._bibliography()
        return self._admonition(block, quoted)

    def _exercise(self, block: Directive) -> str:
        exercise = self.page.exercise(block.options["label"])
        title = f"**Exercise {exercise.number}: {self._text(exercise.title, True)}**"
        body = self._render(block.blocks(), quoted=True)
        return _anchor(exercise.label) + _quote(f"{title}\n\n*{exercise.facts}*\n\n{body}")

    def _mistakes(self, block: Directive) -> str:
        beliefs = "\n".join(f"- {self._text(belief, True)}" for belief in beliefs_of(self.page, block.argument))
        return DETAILS.format("Common mistakes", f"{BELIEFS}\n\n{beliefs}")

    def _quiz(self, block: Directive, quoted: bool) -> str:
        quiz = parse_quiz(block.body)
        parts = ["**Question**", self._render(blocks(quiz.question, block.body_line), quoted)]
        for choice in quiz.choices:
            explanation = f"{choice.verdict} {self._text(choice.explanation, quoted)}"
            parts.append(DETAILS.format(as_html(self._text(choice.text, True)), explanation))
        return "\n\n".join(parts)

    def _figure(self, block: Directive, quoted: bool) -> str:
        name = block.options.get("name")
        picture = self._picture(block.argument, block.options["alt"], block.options.get("width"))
        body = self._render(block.blocks(), quoted).strip()
        if block.name == "image" or not (body or name):
            return picture
        return f"{_anchor(name)}{picture}\n\n{self._caption(name, body)}"

    def _caption(self, name: str | None, text: str) -> str:
        target = self.references.own.get(name or "")
        head, _, rest = text.strip().partition("\n\n")
        words = f"**{target.words}.** {head}" if target else head
        return f"{words}\n\n{rest}" if rest else words

    def _picture(self, source: str, alt: str, width: str | None = None) -> str:
        path = image_path(self.page, source)
        assert path is not None, "checked before"
        kind = IMAGES[path.suffix.lower()]
        data = base64.b64encode(path.read_bytes()).decode()
        if kind == "image/svg+xml":
            # JupyterLab shows no attached SVG, but does show one inside the address
            size = f' width="{escape(width)}"' if width else ""
            return f'<img alt="{escape(alt)}"{size} src="data:{kind};base64,{data}">'
        name = source.replace("/", "-")
        self.attachments[name] = {kind: data}
        return f"![{alt}](attachment:{name})"

    def _admonition(self, block: Directive, quoted: bool) -> str:
        title = block.argument or block.name.capitalize().replace("Seealso", "See also")
        title = self._text(title, True)
        body = self._render(block.blocks(), quoted=quoted or "dropdown" not in block.classes).strip("\n")
        anchor = _anchor(block.options.get("name"))
        if "dropdown" in block.classes:
            return anchor + DETAILS.format(as_html(title), body)
        assert block.name == "admonition" or block.name in PLAIN_ADMONITIONS, block.name
        return anchor + _quote(f"**{title}**\n\n{body}")

    def _bibliography(self) -> str:
        cited = [self.bibliography[key] for key in cited_keys(self.page)]
        in_order = sorted(cited, key=lambda entry: (entry.authors, entry.year))
        return "\n".join(f"- {entry.entry}" for entry in in_order)

    # --- inside a text

    def _text(self, text: str, quoted: bool) -> str:
        return re.sub(r"\n{3,}", "\n\n", INLINE.sub(lambda match: self._inline(match, quoted), text))

    def _inline(self, match: re.Match[str], quoted: bool) -> str:
        kind = kind_of(match)
        if kind == "display":
            return _display(match["tex"], self._number(match["equation"]), quoted)
        if kind == "math":
            return " ".join(match[0].split("\n")) if quoted else match[0]
        if kind == "role":
            return self._role(match["role"], match["content"])
        if kind == "image":
            return self._picture(match["image"], match["alt"])
        if kind == "target":
            return _anchor(match["target"])
        if kind == "link":
            return self._link(self._text(match["text"], quoted), match["href"])
        return "" if kind == "comment" else match[0]

    def _number(self, label: str | None) -> str | None:
        return self.references.own[label].number.strip("()") if label else None

    def _link(self, words: str, href: str) -> str:
        if href.startswith("#"):
            target = self.references.find(href[1:])
            assert target is not None, "checked before"
            return f"[{words or target.words or target.label}]({self.references.href(target)})"
        path, mark, label = href.partition("#")
        chapter = self.references.chapter_of(path)
        if chapter is not None:
            return f"[{words or chapter.title}]({self.references.chapter_href(chapter)}{mark}{label})"
        return f"[{words}]({href})"

    def _role(self, role: str, content: str) -> str:
        if role == "math":
            return f"${content}$"
        if role.startswith("cite"):
            entries = [self.bibliography[key.strip()] for key in content.split(",")]
            if role == "cite:t":
                return ", ".join(map(Reference.textual, entries))
            return f"({'; '.join(map(Reference.parenthetical, entries))})"
        words, name = split_role(content)
        if role == "term":
            return words or name
        if role == "doc":
            chapter = self.references.chapter_of(name)
            if chapter is None:
                return words or name.rsplit("/", 1)[-1]
            return f"[{words or chapter.title}]({self.references.chapter_href(chapter)})"
        target = self.references.find(name)
        assert target is not None, "checked before"
        return f"[{target.named(words)}]({self.references.href(target)})"


def beliefs_of(page: Page, label: str) -> list[str]:
    """The misconceptions that `mistakes.py` lists for an exercise, each once."""
    beliefs = [mistake.belief for mistake in load_mistakes(page.chapter.mistakes) if mistake.exercise == label]
    return list(dict.fromkeys(beliefs))


def cited_keys(page: Page) -> list[str]:
    """The keys that the page cites, in order."""
    texts = (block for block in page.blocks() if isinstance(block, Text))
    roles = (inline.match for text in texts for inline in inlines(text) if inline.kind == "role")
    cited = (match["content"].split(",") for match in roles if match["role"].startswith("cite"))
    return list(dict.fromkeys(key.strip() for keys in cited for key in keys))


def as_html(text: str) -> str:
    """One line of Markdown as HTML, mathematics left alone: Markdown inside `<summary>` is not rendered.

    >>> as_html("`a` is $x_1$ & *b*")
    '<code>a</code> is $x_1$ &amp; <em>b</em>'
    """
    from markdown_it import MarkdownIt

    parser: Any = MarkdownIt("commonmark", {"html": False})
    parts = re.split(r"((?<!\\)\$[^$]+\$)", text)
    return "".join(part if index % 2 else _inner(parser, part) for index, part in enumerate(parts))


def _inner(parser: Any, text: str) -> str:
    bare = text.strip()
    if not bare:
        return text
    shown: str = parser.renderInline(bare)
    return text[: len(text) - len(text.lstrip())] + shown + text[len(text.rstrip()) :]


def _anchor(label: str | None) -> str:
    return f'<a id="{label}"></a>\n\n' if label else ""


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip("\n").split("\n"))


def _display(tex: str, number: str | None, quoted: bool) -> str:
    tag = f" \\tag{{{number}}}" if number else ""
    if quoted:
        return f"$${' '.join(tex.split())}{tag}$$"
    return f"$${tex.rstrip()}{tag}\n$$" if "\n" in tex else f"$${tex}{tag}$$"
