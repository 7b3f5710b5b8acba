"""Mutants are small, valid, different from the original, and keep their ids."""

import ast

import pytest

from grader.proving.mutants import make_mutants

ANSWER = '''
import math


def share(weights: list, base: float = 2.0, *, normalise=True) -> list:
    """Docstring with 3 in it."""
    if len(weights) == 0:
        raise ValueError(f"no weights: {weights!r}")
    total = 0
    for index, weight in enumerate(weights):
        if weight < 0 and not normalise:
            continue
        total += weight * base**index
    best = max(weights, key=lambda w: -w)
    return [weight / total for weight in weights[1:] if weight > best]
'''


def changed_lines(code):
    return {mutant.diff.splitlines()[-1].lstrip("+ ") for mutant in make_mutants("share", code)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return a < b", "return a <= b"),
        ("return a >= b", "return a > b"),
        ("return a == b", "return a != b"),
        ("return a in b", "return a not in b"),
        ("return a + b", "return a - b"),
        ("return a - b", "return b - a"),
        ("return a @ b", "return b @ a"),
        ("return a // b", "return a / b"),
        ("return a and b", "return a or b"),
        ("return a and b", "return a"),
        ("return not a", "return a"),
        ("return -a", "return a"),
        ("return 7", "return 6"),
        ("return 7", "return 8"),
        ("return 0.5", "return 0.0"),
        ("return True", "return False"),
        ("return a == 'addk'", "return a == 'addk!'"),
        ("return f(a, b)", "return f(b, a)"),
        ("return f(a, k=b)", "return f(a)"),
        ("return a.sum(dim=-1)", "return a.sum(dim=0)"),
        ("return a.sum(dim=-1)", "return a.mean(dim=-1)"),
        ("return a.sum(-1, keepdim=True)", "return a.sum(-1, keepdim=False)"),
        ("return log(a)", "return a"),
        ("return a.exp()", "return a"),
        ("return a[b]", "return a[b + 1]"),
        ("return a[b:]", "return a[:]"),
        ("return a[:b]", "return a[:b - 1]"),
        ("return a if b else c", "return c"),
        ("return [x for x in a if b]", "return [x for x in a]"),
        ("return a", "return None"),
        ("a += b", "a = b"),
        ("a += b", "pass"),
        ("a.append(b)", "pass"),
    ],
)
def test_each_slip_is_made(before, after):
    assert after in changed_lines(f"def f(a, b, c):\n    {before}")


def test_every_mutant_compiles_differs_from_the_answer_and_from_the_others():
    mutants = make_mutants("share", ANSWER)
    assert len(mutants) > 40
    codes = [mutant.code for mutant in mutants]
    for code in codes:
        compile(code, "<mutant>", "exec")
    assert len(set(codes)) == len(codes)
    assert len({mutant.id for mutant in mutants}) == len(mutants)
    assert ast.unparse(ast.parse(ANSWER)) not in codes


def test_messages_docstrings_annotations_and_imports_are_left_alone():
    for mutant in make_mutants("share", ANSWER):
        assert "import math" in mutant.code
        assert "raise ValueError(f'no weights: {weights!r}')" in mutant.code or "== 0" not in mutant.code
        assert "Docstring" not in mutant.diff


def test_an_id_outlives_changes_elsewhere_in_the_answer():
    longer = ANSWER.replace("    total = 0\n", "    total = 0\n    unused = 41\n").replace("Docstring", "Words")
    before, after = ({m.id for m in make_mutants("share", code)} for code in (ANSWER, longer))
    assert before < after


def test_the_same_slip_in_two_equal_lines_has_two_ids():
    mutants = make_mutants("twice", "def f(a):\n    a.x(1)\n    a.x(1)")
    assert len({mutant.id for mutant in mutants}) == len(mutants) >= 4


def test_code_below_a_compound_statement_does_not_change_its_id():
    one, two = (
        [m for m in make_mutants("loop", f"def f(a):\n    for x in a[1:]:\n        {body}") if "for" in m.diff]
        for body in ("print(x)", "print(-x)")
    )
    assert {m.id for m in one if "bound" in m.change} == {m.id for m in two if "bound" in m.change} != set()


def test_two_slips_with_the_same_outcome_are_one_mutant():
    codes = [mutant.code for mutant in make_mutants("same", "def f(a, b):\n    return a if b else a")]
    assert len(codes) == len(set(codes)) == 2
