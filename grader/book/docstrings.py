"""Python source to words for a page: how something is called, and its docstring as Markdown."""

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence

WIDTH = 76
"""Letters of a signature on one line; a longer one has a line for each parameter."""

SECTIONS = {
    "Args": "Arguments",
    "Raises": "Errors",
    "Yields": "Gives",
    "Attributes": "Attributes",
    "Returns": "Returns",
}
SECTION = re.compile(rf"^({'|'.join(SECTIONS)}):$")
SPECIAL = re.compile(r"([\\*_$<>\[\]{}#~^|])")
CODE = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)

Lines = Sequence[bytes]

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public_names(body: list[ast.stmt]) -> Iterator[tuple[str, Documented | None, str]]:
    """The public functions and classes of a module or class, and the constants and fields that a docstring follows.

    Each with its node (None for a constant) and its docstring.
    """
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, Documented):
            if not node.name.startswith("_"):
                yield node.name, node, ast.get_docstring(node) or ""
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            words = after.value.value if isinstance(after.value, ast.Constant) else None
            if isinstance(target, ast.Name) and not target.id.startswith("_") and isinstance(words, str):
                yield target.id, None, textwrap.dedent(words)


def signature(node: Documented, lines: Lines, owner: str = "") -> str:
    """How a function is called, or a class made, as the source has it; a method stands behind its class.

    Args:
        node: the function or class, parsed.
        lines: the lines of its module in UTF-8.
        owner: the class of a method.
    """
    if isinstance(node, ast.ClassDef):
        made = next((each for each in node.body if getattr(each, "name", "") == "__init__"), None)
        if isinstance(made, ast.FunctionDef):
            parameters = _parameters(made.args, lines)[1:]
        else:
            fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
            parameters = [_text(each, lines) for each in fields]
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return _call(f"class {node.name}", parameters, f"  # extends {bases}" if bases else "")
    words = {ast.unparse(each) for each in node.decorator_list}
    parameters = _parameters(node.args, lines)
    if owner and "staticmethod" not in words:
        parameters = parameters[1:]
    back = f" -> {_text(node.returns, lines)}" if node.returns else ""
    name = f"{owner}.{node.name}" if owner else node.name
    return f"{name}{back}" if words & {"property", "cached_property"} else _call(name, parameters, back)


def _call(name: str, parameters: list[str], after: str) -> str:
    line = f"{name}({', '.join(parameters)}){after}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n    " + ",\n    ".join(parameters) + f"\n){after}"


def _parameters(args: ast.arguments, lines: Lines) -> list[str]:
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    found = [_parameter(each, default, lines) for each, default in zip(plain, defaults, strict=True)]
    if args.posonlyargs:
        found.insert(len(args.posonlyargs), "/")
    if args.vararg:
        found.append("*" + _parameter(args.vararg, None, lines))
    elif args.kwonlyargs:
        found.append("*")
    found += [_parameter(*pair, lines) for pair in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return [*found, "**" + _parameter(args.kwarg, None, lines)] if args.kwarg else found


def _parameter(arg: ast.arg, default: ast.expr | None, lines: Lines) -> str:
    kind = f": {_text(arg.annotation, lines)}" if arg.annotation else ""
    equals = " = " if kind else "="
    return f"{arg.arg}{kind}" + (f"{equals}{_text(default, lines)}" if default is not None else "")


def _text(node: ast.stmt | ast.expr, lines: Lines) -> str:
    """As `ast.get_source_segment`, which splits the whole module into lines at each call."""
    assert node.end_lineno is not None
    part = list(lines[node.lineno - 1 : node.end_lineno])
    part[-1] = part[-1][: node.end_col_offset]
    part[0] = part[0][node.col_offset :]
    return " ".join(b" ".join(part).decode().split())


def markdown_of(docstring: str) -> str:
    r"""A docstring as Markdown: sections become lists, examples code; what would be markup is escaped.

    >>> print(markdown_of("The sum of *n*.\n\nRaises:\n    ValueError: for none."))
    The sum of \*n\*.
    <BLANKLINE>
    **Errors**
    <BLANKLINE>
    - `ValueError`: for none.
    """
    blocks = [block.strip("\n") for block in re.split(r"\n\s*\n", docstring.strip("\n"))]
    return "\n\n".join(_block(block) for block in blocks if block)


def _block(block: str) -> str:
    first, _, rest = block.partition("\n")
    if first.lstrip().startswith(">>>"):
        return fence("pycon", textwrap.dedent(block))
    if found := SECTION.match(first):
        return f"**{SECTIONS[found[1]]}**\n\n{_section(found[1], textwrap.dedent(rest))}"
    if first.startswith("    "):
        return fence("text", textwrap.dedent(block))
    if first.startswith("|"):
        return block
    return "\n".join(_escaped_line(line) for line in block.split("\n"))


def _section(name: str, text: str) -> str:
    if name in ("Returns", "Yields"):
        return escaped(" ".join(text.split()))
    items: list[str] = []
    for line in text.split("\n"):
        if line.startswith(" ") and items:
            items[-1] += " " + line.strip()
        else:
            items.append(line.strip())
    lines = []
    for item in items:
        found = re.match(r"(\*{0,2}[\w., ]+): (.*)", item)
        lines.append(f"- `{found[1]}`: {escaped(found[2])}" if found else f"- {escaped(item)}")
    return "\n".join(lines)


def _escaped_line(line: str) -> str:
    found = re.match(r"(\s*(?:[-*]|\d+\.) )(.*)", line)
    return found[1] + escaped(found[2]) if found else escaped(line)


def escaped(text: str) -> str:
    """Text without markup: every sign that Markdown would read is escaped, code in backticks stays."""
    parts = CODE.split(text)
    return "".join(part if number % 2 else SPECIAL.sub(r"\\\1", part) for number, part in enumerate(parts))


def fence(kind: str, text: str) -> str:
    """A block of code."""
    return f"```{kind}\n{text}\n```"
