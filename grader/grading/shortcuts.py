"""Find forbidden shortcuts in an answer: calls that do the exercise instead of solving it.

An author names them as they are usually written (`forbids = {"F.cross_entropy": "…"}`). Here imports are
followed, so that `import torch.nn.functional as nnf; nnf.cross_entropy` and `from torch.nn.functional
import cross_entropy as ce` are found as well; a name that starts with a dot (`.softmax`) is a method of
anything. Reading a text cannot find everything (`getattr`, `eval`): this keeps honest students honest, and
the points come from the judge.
"""

import ast
import functools
from collections.abc import Mapping, Sequence

USUAL = {"F": "torch.nn.functional", "nn": "torch.nn", "np": "numpy", "plt": "matplotlib.pyplot"}
"""What the courses' notebooks import under a short name."""


def forbidden_use(answer: str, forbids: Mapping[str, str], before: Sequence[str] = ()) -> str:
    """The sentence of the first forbidden name that an answer uses; empty where there is none.

    Args:
        answer: the source of the answer cell.
        forbids: dotted names and sentences, as in `HiddenCheck.forbids`.
        before: sources of the notebook's other cells, which may import.

    >>> forbidden_use("import torch.nn.functional as f\\ny = f.softmax(x)", {"F.softmax": "Write it."})
    'Write it.'
    """
    if not forbids:
        return ""
    aliases = dict(USUAL)
    for source in (*before, answer):
        aliases |= _imported(source)
    used, attributes = set(), set()
    for node in ast.walk(_parse(answer)):
        if isinstance(node, ast.Attribute):
            attributes.add(node.attr)
        if isinstance(node, ast.Attribute | ast.Name):
            name = _dotted(node)
            if name:
                used.add(_resolve(name, aliases))
    for pattern, sentence in forbids.items():
        if pattern.startswith("."):
            if pattern[1:] in attributes:
                return sentence
        elif _resolve(pattern, USUAL) in used:
            return sentence
    return ""


def _parse(source: str) -> ast.Module:
    """The tree of a cell without its magics; an empty one for what is no Python."""
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):  # the last: CPython before 3.11.5
        return ast.Module([], [])


@functools.lru_cache(maxsize=256)
def _imported(source: str) -> Mapping[str, str]:
    """The names that a cell imports. Most cells of most students are the course's own, hence the memory."""
    names = {}
    for node in ast.walk(_parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _dotted(node: ast.expr) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


def _resolve(name: str, aliases: Mapping[str, str]) -> str:
    first, _, rest = name.partition(".")
    full = aliases.get(first, first)
    return f"{full}.{rest}" if rest else full
