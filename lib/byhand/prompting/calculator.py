"""A calculator for a model's own sums: it can calculate and nothing else, since what a model writes is no code to run.

Holds the tool that `byhand.prompting.react` hands to a model. Leaves out functions and names. Built in chapter 9.
"""

import ast
import operator
from collections.abc import Callable

Number = int | float

_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
LONGEST = 200
"""Characters of an expression: a deeper tree could exhaust Python's stack."""
LARGEST_POWER = 1_000
"""Of base and of exponent: `9**9**9` would take hours and gigabytes."""
LARGEST = 10**300
"""Of any number on the way: beyond it floats are infinite, and integers too long to be written."""


def calculate(expression: str) -> str:
    """The value of an arithmetic expression, as text: numbers, + - * / // % ** and parentheses.

    The expression is parsed, never run; every node that is not arithmetic is refused. A whole result is
    written without a decimal point.

    Raises:
        ValueError: when the text is no such expression, divides by zero, or grows too large.

    >>> calculate("(17 - 5) * 2.5")
    '30'
    >>> calculate("__import__('os')")
    Traceback (most recent call last):
    ValueError: the calculator knows numbers, + - * / // % ** and parentheses, not "__import__('os')"
    """
    if len(expression) > LONGEST:
        raise ValueError(f"the expression has {len(expression)} characters, more than {LONGEST}: calculate in parts")
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body, expression)
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    except SyntaxError:
        raise ValueError(f"this is no arithmetic expression: {expression!r}") from None
    except ZeroDivisionError:
        raise ValueError(f"division by zero in {expression!r}") from None
    except OverflowError:
        raise ValueError(f"the result of {expression!r} is too large") from None


def _value(node: ast.expr, expression: str) -> Number:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            return _UNARY[type(sign)](_value(operand, expression))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            a, b = _value(left, expression), _value(right, expression)
            if isinstance(sign, ast.Pow) and max(abs(a), abs(b)) > LARGEST_POWER:
                raise ValueError(f"{a}**{b} is too large: base and exponent may be at most {LARGEST_POWER}")
            result = _BINARY[type(sign)](a, b)
            if isinstance(result, complex):
                raise ValueError(f"{a}**{b} is no real number")
            return _bounded(result)
    part = ast.get_source_segment(expression.strip(), node)
    raise ValueError(f"the calculator knows numbers, + - * / // % ** and parentheses, not {part!r}")


def _bounded(number: Number) -> Number:
    if not abs(number) <= LARGEST:
        raise OverflowError
    return number
