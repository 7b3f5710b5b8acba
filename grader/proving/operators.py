"""The table of mutation operators: which small changes an expression or a statement can suffer.

Each operator is a slip that a person could make: a boundary, a sign, an axis, an argument in the wrong place,
a forgotten line. An operator yields (what it did, the new node) and never changes the node that it is
given.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from typing import TypeVar

Node = TypeVar("Node", bound=ast.AST)
Changes = Iterator[tuple[str, ast.AST]]

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NOT_COMMUTATIVE = (ast.Sub, ast.Div, ast.Pow, ast.MatMult)
SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Eq: "==", ast.NotEq: "!=", ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}  # fmt: skip
COUSINS = {
    "max": "min", "min": "max", "amax": "amin", "amin": "amax", "argmax": "argmin", "argmin": "argmax",
    "any": "all", "all": "any", "sum": "mean", "mean": "sum", "log": "log2", "log2": "log", "exp": "exp2",
    "floor": "ceil", "ceil": "floor", "zeros": "ones", "ones": "zeros", "zeros_like": "ones_like",
    "ones_like": "zeros_like", "log_softmax": "softmax", "cumsum": "cumprod",
}  # fmt: skip
CONVERSIONS = {"int", "float", "str", "list", "tuple", "bool", "dict", "enumerate", "range", "len", "super"}
"""Calls that are not unwrapped: mostly the result works the same, or nothing runs at all."""


def statement_changes(node: ast.stmt) -> Changes:
    """What can go wrong with a whole statement: it is forgotten, or returns nothing."""
    simple = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Assert, ast.Delete)
    if isinstance(node, (*simple, ast.If, ast.For, ast.While, ast.With)):
        yield "drop the statement", ast.Pass()
    if isinstance(node, ast.Return) and not _is_none(node.value):
        yield "drop the value", ast.Return(ast.Constant(None))
    if isinstance(node, ast.If):
        yield "condition always true", _with(node, test=ast.Constant(True))
        if node.orelse:
            yield "condition always false", _with(node, test=ast.Constant(False))
    if isinstance(node, ast.Break):
        yield "break becomes continue", ast.Continue()
    if isinstance(node, ast.Continue):
        yield "continue becomes break", ast.Break()
    if isinstance(node, ast.AugAssign):
        yield from _operator(node)
        yield "assign in place of add", ast.Assign([node.target], node.value, lineno=0)


def expression_changes(node: ast.AST, parent: ast.AST) -> Changes:
    """What can go wrong with an expression, an argument or a comprehension."""
    for kind, operator in OPERATORS:
        if isinstance(node, kind):
            yield from operator(node, parent)


def _compare(node: ast.Compare, parent: ast.AST) -> Changes:
    for index, comparison in enumerate(node.ops):
        for other in COMPARISONS[type(comparison)]:
            ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
            yield f"{SIGNS[type(comparison)]} becomes {SIGNS[other]}", _with(node, ops=ops)


def _arithmetic(node: ast.BinOp, parent: ast.AST) -> Changes:
    yield from _operator(node)
    if isinstance(node.op, NOT_COMMUTATIVE):
        yield "swap the operands", _with(node, left=node.right, right=node.left)


def _operator(node: ast.BinOp | ast.AugAssign) -> Changes:
    other = ARITHMETIC.get(type(node.op))
    if other is not None:
        yield f"{SIGNS[type(node.op)]} becomes {SIGNS[other]}", _with(node, op=other())


def _boolean(node: ast.BoolOp, parent: ast.AST) -> Changes:
    other = ast.Or if isinstance(node.op, ast.And) else ast.And
    yield "and becomes or" if other is ast.Or else "or becomes and", _with(node, op=other())
    for index in range(len(node.values)):
        rest = node.values[:index] + node.values[index + 1 :]
        yield "drop one condition", _with(node, values=rest) if len(rest) > 1 else rest[0]


def _unary(node: ast.UnaryOp, parent: ast.AST) -> Changes:
    if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield "drop the sign" if isinstance(node.op, ast.USub) else "drop the not", node.operand


def _constant(node: ast.Constant, parent: ast.AST) -> Changes:
    value = node.value
    if isinstance(value, bool):
        yield f"{value} becomes {not value}", ast.Constant(not value)
    elif isinstance(value, int):
        for other in (value + 1, value - 1):
            yield f"{value} becomes {other}", ast.Constant(other)
        if isinstance(parent, ast.keyword) and parent.arg in ("dim", "axis") and value > 1:
            yield "another axis", ast.Constant(0)
    elif isinstance(value, float):
        yield f"{value} becomes {value * 2 or 1.0}", ast.Constant(value * 2 or 1.0)
        if abs(value) > 1:
            yield f"{value} becomes 1.0", ast.Constant(1.0)
        elif value:
            yield f"{value} becomes 0.0", ast.Constant(0.0)
    elif isinstance(value, str) and not isinstance(parent, ast.Expr):
        yield "another string", ast.Constant(value + "!")


def _keyword(node: ast.keyword, parent: ast.AST) -> Changes:
    if node.arg in ("dim", "axis") and isinstance(node.value, ast.UnaryOp):
        yield "another axis", _with(node, value=ast.Constant(0))


def _call(node: ast.Call, parent: ast.AST) -> Changes:
    name = _last_name(node.func)
    starred = any(isinstance(arg, ast.Starred) for arg in node.args[:2])
    if len(node.args) >= 2 and not starred and name not in ("max", "min"):
        yield "swap the arguments", _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
    for index, keyword in enumerate(node.keywords):
        if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool):
            continue  # flipping it says the same
        yield "drop a keyword", _with(node, keywords=node.keywords[:index] + node.keywords[index + 1 :])
    if name in COUSINS:
        yield f"{name} becomes {COUSINS[name]}", _with(node, func=_renamed(node.func, COUSINS[name]))
    if isinstance(parent, ast.Expr) or name in CONVERSIONS:
        return
    if isinstance(node.func, ast.Attribute) and not node.args:
        yield "drop the call", node.func.value
    elif len(node.args) == 1 and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
        yield "drop the call", node.args[0]


def _subscript(node: ast.Subscript, parent: ast.AST) -> Changes:
    if isinstance(node.slice, ast.Slice):
        for bound in ("lower", "upper"):
            value = getattr(node.slice, bound)
            if value is not None:
                yield f"drop the {bound} bound", _with(node, slice=_with(node.slice, **{bound: None}))
                if not isinstance(value, ast.Constant):
                    for change, other in _shifted(value):
                        yield (
                            f"{bound} bound {change}",
                            _with(node, slice=_with(node.slice, **{bound: other})),
                        )
    elif isinstance(node.slice, ast.Name | ast.BinOp):
        for change, other in _shifted(node.slice):
            yield f"index {change}", _with(node, slice=other)


def _shifted(value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    yield "one up", ast.BinOp(value, ast.Add(), ast.Constant(1))
    yield "one down", ast.BinOp(value, ast.Sub(), ast.Constant(1))


def _choice(node: ast.IfExp, parent: ast.AST) -> Changes:
    yield "condition always true", node.body
    yield "condition always false", node.orelse


def _comprehension(node: ast.comprehension, parent: ast.AST) -> Changes:
    if node.ifs:
        yield "drop the filter", _with(node, ifs=[])


OPERATORS: tuple[tuple[type[ast.AST], Callable[..., Changes]], ...] = (
    (ast.Compare, _compare),
    (ast.BinOp, _arithmetic),
    (ast.BoolOp, _boolean),
    (ast.UnaryOp, _unary),
    (ast.Constant, _constant),
    (ast.keyword, _keyword),
    (ast.Call, _call),
    (ast.Subscript, _subscript),
    (ast.IfExp, _choice),
    (ast.comprehension, _comprehension),
)


def _with(node: Node, **fields: object) -> Node:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _is_none(node: ast.expr | None) -> bool:
    return node is None or (isinstance(node, ast.Constant) and node.value is None)


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _renamed(node: ast.expr, name: str) -> ast.expr:
    if isinstance(node, ast.Name):
        return ast.Name(name, ast.Load())
    assert isinstance(node, ast.Attribute)
    return ast.Attribute(node.value, name, ast.Load())
