"""Which statements of a page's untagged cells a check depends on, so that experiments need not run.

A backward slice over the page: imports always; any other statement when it binds a name that an answer or
a check reads, or changes such a name in place (`counts[word] = 1`, `words.append(word)`); then what that
statement reads in its turn. Names that an answer cell defines are never looked for outside of answers.
Left out: effects that no name shows (a global seed, a file written), which a check should not depend on.
"""

import ast
import symtable
from collections.abc import Iterable, Sequence


def needed_parts(cells: Sequence[str], readers: Iterable[str], answered: Iterable[str]) -> list[str]:
    """For each untagged cell, what the `readers` (answers and checks) depend on, as one text.

    `answered` are the names that answer cells define. A cell of which nothing is needed gives "".

    >>> needed_parts(["import math\\nk = 3", "scores = train(k)"], ["def f(x): return math.pi * x**k"], [])
    ['import math\\nk = 3', '']
    """
    trees = [parse(cell) for cell in cells]
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


def parse(cell: str) -> ast.Module:
    """The tree of a cell, its IPython magics turned into the calls that they stand for."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return ast.parse(cell)
    except SyntaxError:
        plain: str = TransformerManager().transform_cell(cell)
        return ast.parse(plain)


def is_import(node: ast.stmt) -> bool:
    """Whether the statement is an import."""
    return isinstance(node, ast.Import | ast.ImportFrom)


def bound_names(node: ast.stmt) -> set[str]:
    """The names of the cell's namespace that a statement binds, or changes in place."""
    names: set[str] = set()
    _collect(node, names)
    return names


def _collect(node: ast.AST, names: set[str]) -> None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        names.add(node.name)
        return
    if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        names.add(node.id)
    elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        names.update(_root(node))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        names.update(_root(node.value.func) if isinstance(node.value.func, ast.Attribute) else ())
    for child in ast.iter_child_nodes(node):
        _collect(child, names)


def _root(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def outer_names(cell: str) -> set[str]:
    """The names that a cell takes from other cells: what it reads and has not bound by then.

    >>> sorted(outer_names("y = x\\nx = 2\\ndef f(a): return a + late + z\\nlate = y"))
    ['x', 'z']
    """
    names: set[str] = set()
    later: set[str] = set()
    bound: set[str] = set()
    for node in parse(cell).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            later |= read_names(node)  # when it is called, the whole cell has run
        else:
            names |= read_names(node) - bound
        bound |= bound_names(node)
    return names | (later - bound)


def read_names(node: ast.stmt) -> set[str]:
    """The names of the cell's namespace that a statement reads; locals of functions are not among them."""
    top = symtable.symtable(ast.unparse(node), "<cell>", "exec")
    names = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    inner = list(top.get_children())
    while inner:
        table = inner.pop()
        inner += table.get_children()
        names |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    return names
