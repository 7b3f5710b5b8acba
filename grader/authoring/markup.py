"""The parts of MyST that a chapter uses, with line numbers: directives, listings, roles, links, math.

A parser for what is *around* the text only: paragraphs, lists and tables pass through as they are, because
every program that shows a notebook knows them. Fences nest as in CommonMark: an inner fence is shorter than
its outer one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

OPENING = re.compile(r"^(?P<indent>\s*)(?P<fence>:{3,}|`{3,}|~{3,})\s*(?P<info>.*?)\s*$")
DIRECTIVE = re.compile(r"^\{(?P<name>[A-Za-z][\w:.-]*)\}\s*(?P<argument>.*)$")
OPTION = re.compile(r"^:(?P<key>[A-Za-z][\w-]*):(?:\s+(?P<value>.*))?$")

INLINE = re.compile(
    r"(?P<display>(?<!\\)\$\$(?P<tex>.+?)(?<!\\)\$\$(?:[ ]*\((?P<equation>[\w:-]+)\))?)"
    r"|\{(?P<role>[a-z][\w:-]*)\}(?P<ticks>`+)(?P<content>.+?)(?P=ticks)(?!`)"
    r"|(?P<code>(?<!`)(?P<marks>`+)(?!`)(?:(?!\n[ ]*\n).)+?(?<!`)(?P=marks)(?!`))"
    r"|(?P<math>(?<!\\)\$(?![\s$])(?:\\.|(?!\n[ ]*\n)[^$\\])+?(?<!\s)\$(?!\d))"
    r"|!\[(?P<alt>[^\]]*)\]\((?P<image>[^)\s]+)\)"
    r"|\[(?P<text>[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\]\((?P<href>(?:[^()\s]|\([^()\s]*\))*)\)"
    r"|^\((?P<target>[\w:-]+)\)=[ ]*$"
    r"|^(?P<comment>%[^\n]*)$",
    re.DOTALL | re.MULTILINE,
)
"""What needs a rule, and what must be left alone (code and math), inside a stretch of text."""


@dataclass(frozen=True)
class Text:
    """Lines outside of any fence."""

    text: str
    line: int


@dataclass(frozen=True)
class Code:
    """A fenced listing, to be left as it is."""

    text: str
    line: int


@dataclass(frozen=True)
class Directive:
    """`:::{name} argument`, options, body.

    `line` is the line of the opening fence, `body_line` that of the body's first line.
    """

    name: str
    argument: str
    options: dict[str, str]
    body: str
    line: int
    body_line: int
    closed: bool = True
    indent: str = ""
    option_lines: dict[str, int] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """The words of `:class:`."""
        return self.options.get("class", "").split()

    def blocks(self) -> "list[Block]":
        """The blocks of the body."""
        return blocks(self.body, self.body_line)


Block = Text | Code | Directive


def blocks(text: str, line: int) -> list[Block]:
    """Split `text`, whose first line is line number `line` of its file, at its fences.

    >>> [type(block).__name__ for block in blocks("a\\n:::{note}\\nb\\n:::\\nc", 1)]
    ['Text', 'Directive', 'Text']
    """
    lines = text.split("\n")
    found: list[Block] = []
    start = here = 0

    def flush(end: int) -> None:
        if any(part.strip() for part in lines[start:end]):
            found.append(Text("\n".join(lines[start:end]), line + start))

    while here < len(lines):
        opening = OPENING.match(lines[here])
        directive = DIRECTIVE.match(opening["info"]) if opening else None
        if opening is None or not _opens(opening, directive):
            here += 1
            continue
        flush(here)
        end = _closing(lines, here + 1, opening["fence"])
        closed = end < len(lines)
        if directive is None:
            found.append(Code("\n".join(lines[here : end + 1]), line + here))
        else:
            body = [_dedent(part, len(opening["indent"])) for part in lines[here + 1 : end]]
            found.append(_directive(directive, body, line + here, closed, opening["indent"]))
        start = here = end + 1
    flush(len(lines))
    return found


def _opens(opening: re.Match[str], directive: re.Match[str] | None) -> bool:
    """Three colons open a directive only; with one more backtick in the line, backticks are a code span."""
    if opening["fence"][0] == ":":
        return directive is not None
    return opening["fence"][0] == "~" or "`" not in opening["info"]


def _closing(lines: list[str], start: int, fence: str) -> int:
    for index in range(start, len(lines)):
        bare = lines[index].strip()
        if len(bare) >= len(fence) and set(bare) == {fence[0]}:
            return index
    return len(lines)


def _dedent(text: str, width: int) -> str:
    return text[width:] if not text[:width].strip() else text.lstrip()


def _directive(match: re.Match[str], body: list[str], line: int, closed: bool, indent: str) -> Directive:
    options: dict[str, str] = {}
    option_lines: dict[str, int] = {}
    count = 0
    while count < len(body) and (option := OPTION.match(body[count])):
        options[option["key"]] = (option["value"] or "").strip()
        option_lines[option["key"]] = line + 1 + count
        count += 1
    rest = body[count:]
    return Directive(
        match["name"],
        match["argument"],
        options,
        "\n".join(rest),
        line,
        line + 1 + count,
        closed,
        indent,
        option_lines,
    )


def walk(items: list[Block]) -> Iterator[Block]:
    """Every block, and every block inside a directive whose body is text, outer ones first."""
    for block in items:
        yield block
        if isinstance(block, Directive) and block.name not in VERBATIM:
            yield from walk(block.blocks())


VERBATIM = frozenset({"math", "code", "code-block", "code-cell"})
"""Directives whose body is not MyST."""


@dataclass(frozen=True)
class Inline:
    """One thing inside a text that needs a rule."""

    kind: str
    """`role`, `image`, `link`, `target`, `comment` or `display`."""
    match: re.Match[str]
    line: int


def inlines(block: Text) -> Iterator[Inline]:
    """What needs a rule inside `block`; code spans and inline math are passed over."""
    for match in INLINE.finditer(block.text):
        kind = kind_of(match)
        if kind not in ("code", "math"):
            line = block.line + block.text.count("\n", 0, match.start())
            yield Inline(kind, match, line)
            if kind == "link" and match["text"]:
                yield from inlines(Text(match["text"], line))


def kind_of(match: re.Match[str]) -> str:
    """Which alternative of `INLINE` matched."""
    for kind in ("display", "role", "code", "math", "image", "target", "comment"):
        if match[kind] is not None:
            return kind
    return "link"


def fenced(name: str, argument: str, options: dict[str, str], body: str) -> str:
    """A directive as text again, its fence longer than any inside it.

    >>> print(fenced("note", "", {"class": "tip"}, "a"))
    :::{note}
    :class: tip
    a
    :::
    """
    longest = max((len(run) for run in re.findall(r"^\s*(:{3,})", body, re.MULTILINE)), default=2)
    colons = ":" * max(3, longest + 1)
    head = [
        f"{colons}{{{name}}} {argument}".rstrip(),
        *(f":{key}: {value}".rstrip() for key, value in options.items()),
    ]
    return "\n".join([*head, *([body] if body else []), colons])
