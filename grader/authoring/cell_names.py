"""What a cell reads from other cells and what it binds for them, from its source alone."""

import ast
import symtable


def parse_cell(cell: str) -> ast.Module:
    """The tree of a cell; lines that only IPython understands (`%time`, `!ls`) become the calls they stand for.

    Raises:
        SyntaxError: when it is no Python either way.
    """
    try:
        return ast.parse(cell)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        plain: str = TransformerManager().transform_cell(cell)
        return ast.parse(plain)


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
    for node in parse_cell(cell).body:
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
