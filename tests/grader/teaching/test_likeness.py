"""Nearly the same answer text: seen where it is rare and long, silent where a whole class writes alike."""

import random

from grader.teaching.likeness import ENOUGH_ANSWERS, find_alike, pieces_of, tokens_of

STUB = "def mean(rows):\n    ### Write your code here\n    raise NotImplementedError\n"


def invented(seed: int, lines: int = 14) -> str:
    """An answer that nobody else has: statements drawn one by one."""
    draw = random.Random(seed)
    calls = ["torch.exp", "torch.log", "sum", "len", "max", "np.mean", "sorted", "torch.softmax", "abs", "zip"]
    made = ["def mean(rows):"]
    for line in range(lines):
        name = f"v{seed}_{line}"
        marks = [draw.choice("+-*/") for _ in range(3)]
        parts = [f"{draw.choice(calls)}(rows[{draw.randint(0, 99)}])" for _ in range(4)]
        made.append(f"    {name} = {parts[0]} {marks[0]} {parts[1]} {marks[1]} {parts[2]} {marks[2]} {parts[3]}")
    return "\n".join([*made, f"    return v{seed}_0", ""])


def class_of(count: int, **others: str) -> dict[str, dict[str, str]]:
    return {"mean": {f"s{n:03}": invented(n) for n in range(count)} | others}


def renamed(source: str) -> str:
    """What somebody does who hands in the answer of another."""
    source = source.replace("v3_", "own_").replace("rows", "table").replace(" = ", "  =  ")
    return '"""My own work."""\n' + source.replace(":\n", ":  # thought of by myself\n", 1)


def test_a_renamed_copy_is_found_and_nobody_else() -> None:
    (found,) = find_alike(class_of(30, copy=renamed(invented(3))), {"mean": STUB})
    assert found.students == ("copy", "s003")
    assert found.exercises == ("mean",)


def test_three_who_share_one_answer_are_one_group() -> None:
    others = {"x": renamed(invented(3)), "y": invented(3)}
    (found,) = find_alike(class_of(200, **others), {"mean": STUB})
    assert found.students == ("s003", "x", "y")


def test_different_answers_are_not_alike() -> None:
    assert find_alike(class_of(60), {"mean": STUB}) == []


def test_a_class_that_writes_the_one_short_answer_is_not_reported() -> None:
    short = {f"s{n}": "def mean(rows):\n    return sum(rows) / len(rows)\n" for n in range(40)}
    assert find_alike({"mean": short}, {"mean": STUB}) == []


def test_two_who_found_the_same_short_answer_are_not_reported() -> None:
    answers = class_of(
        40, x="def mean(a):\n    return sum(a) / len(a)\n", y="def mean(b):\n    return sum(b) / len(b)\n"
    )
    assert find_alike(answers, {"mean": STUB}) == []


def test_a_long_answer_that_many_have_is_common() -> None:
    many = {f"t{n}": invented(1000) for n in range(12)}
    assert find_alike(class_of(60, **many), {"mean": STUB}) == []


def test_two_untouched_notebooks_are_not_alike() -> None:
    long_stub = invented(77)
    answers = class_of(30, x=long_stub, y=long_stub)
    assert find_alike(answers, {"mean": long_stub}) == []


def test_a_class_too_small_to_know_what_is_rare_is_left_alone() -> None:
    few = class_of(ENOUGH_ANSWERS - 2, copy=renamed(invented(3)))
    assert find_alike(few, {"mean": STUB}) == []
    assert find_alike({}, {}) == []


def test_half_an_answer_in_common_is_not_the_same_answer() -> None:
    half = "\n".join([*invented(3).splitlines()[:8], *invented(500).splitlines()[1:]])
    assert find_alike(class_of(40, half=half), {"mean": STUB}) == []


def test_short_answers_to_several_exercises_add_up() -> None:
    answers = {
        f"task {place}": {f"s{n}": invented(1000 * place + n, lines=2) for n in range(20)} for place in range(1, 5)
    }
    assert find_alike(answers, {}) == []
    for place in range(1, 5):
        answers[f"task {place}"]["copy"] = invented(1000 * place + 3, lines=2)
    (found,) = find_alike(answers, {})
    assert found.students == ("copy", "s3")
    assert len(found.exercises) == 4


def test_what_is_no_python_has_tokens_too() -> None:
    assert tokens_of("total = torch.exp(row)  # why") == tokens_of("x=torch.exp( y )")
    assert tokens_of("x = 'a' + y.exp") != tokens_of("x = 'b' + y.exp")
    assert tokens_of('def f(x):\n    """Doc."""\n    return x') == tokens_of("def g(y):\n\n    return y")
    for odd in ("'", '"""', "\\", "é ∑ \x00 \ud800", "def f(:\n\t)", "'" * 99_999, "[" * 99_999):
        assert isinstance(tokens_of(odd), list)
        assert isinstance(pieces_of(odd), frozenset)
