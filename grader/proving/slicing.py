"""Which statements of a page's untagged cells a check depends on, so that experiments need not run.

A backward slice over the page: imports always; any other statement when it binds a name that an answer or
a check reads, or changes such a name in place (`counts[word] = 1`, `words.append(word)`); then what that
statement reads in its turn. Names that an answer cell defines are never looked for outside of answers.
Left out: effects that no name shows (a global seed, a file written), which a check should not depend on.
"""

import ast
from collections.abc import Iterable, Sequence

from grader.authoring.cell_names import bound_names, outer_names, parse_cell, read_names


def needed_parts(cells: Sequence[str], readers: Iterable[str], answered: Iterable[str]) -> list[str]:
    """For each untagged cell, what the `readers` (answers and checks) depend on, as one text.

    `answered` are the names that answer cells define. A cell of which nothing is needed gives "".

    >>> needed_parts(["import math\\nk = 3", "scores = train(k)"], ["def f(x): return math.pi * x**k"], [])
    ['import math\\nk = 3', '']
    """
    trees = [parse_cell(cell) for cell in cells]
    imports = [node for tree in trees for node in tree.body if is_import(node)]
    excluded = {name for node in imports for name in bound_names(node)} | set(answered)
    needed = {name for reader in readers for name in outer_names(reader)} - excluded
    kept: set[int] = set()
    before = -1
    while len(kept) != before:
        before = len(kept)
        for tree in trees:
            for node in tree.body:
                if id(node) not in kept and not is_import(node) and bound_names(node) & needed:
                    kept.add(id(node))
                    needed |= read_names(node) - excluded
    return ["\n".join(ast.unparse(node) for node in tree.body if is_import(node) or id(node) in kept) for tree in trees]


def is_import(node: ast.stmt) -> bool:
    """Whether the statement is an import."""
    return isinstance(node, ast.Import | ast.ImportFrom)
