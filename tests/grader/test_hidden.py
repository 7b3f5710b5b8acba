"""Verdicts: points come from a positive verdict and from nothing else."""

import sys

import numpy as np
import pytest

from grader.errors import AuthoringError
from grader.hidden import (
    Case,
    HiddenCheck,
    Raised,
    Verdict,
    decide,
    draw_cases,
    probe_source,
    right,
    seed_for,
    wrong,
)
from grader.loading import load_checks, load_mistakes


class Double(HiddenCheck):
    """Doubling, with two criteria."""

    exercise = "double"
    uses = ("double",)
    criteria = {"small": 1.0, "negative": 0.5}

    def cases(self, rng):
        yield Case("small", {"x": int(rng.integers(1, 10))})
        yield Case("small", {"x": 0})
        yield Case("negative", {"x": -3})

    @staticmethod
    def probe(student: object, inputs: dict) -> object:
        """Call it once."""
        return student.double(inputs["x"])

    def judge(self, case, answer):
        return right() if answer == 2 * case.inputs["x"] else wrong(f"x was {case.inputs['x']}")


CHECK = Double()
CASES = draw_cases(CHECK, 7)
RIGHT = [2 * case.inputs["x"] for case in CASES]


def test_all_right_answers_earn_all_points():
    result = decide(CHECK, CASES, RIGHT)
    assert result.points == result.max_points == 1.5
    assert all(finding.met and not finding.words for finding in result.findings)


def test_one_wrong_case_costs_its_criterion_only_and_says_why():
    result = decide(CHECK, CASES, [RIGHT[0], 99, RIGHT[2]])
    assert [finding.points for finding in result.findings] == [0.0, 0.5]
    assert result.findings[0].words == "x was 0"


@pytest.mark.parametrize("answers", [[], RIGHT[:1], [Raised("ValueError", "no")] * 3, [None] * 3, ["", {}, []]])
def test_silence_errors_and_nonsense_earn_nothing_for_their_criterion(answers):
    result = decide(CHECK, CASES, answers)
    assert result.points == 0
    assert all(finding.words for finding in result.findings)


@pytest.mark.parametrize("verdict", [None, True, 1, "right", Verdict(1), Verdict("yes")])
def test_only_the_verdict_right_passes(verdict, monkeypatch):
    monkeypatch.setattr(Double, "judge", lambda self, case, answer: verdict)
    assert decide(CHECK, CASES, RIGHT).points == 0


def test_a_judge_that_stumbles_over_an_answer_fails_the_criterion_and_goes_on(monkeypatch):
    def judge(self, case, answer):
        if case.inputs["x"] == 0:
            raise KeyError("surprise")
        return right()

    monkeypatch.setattr(Double, "judge", judge)
    result = decide(CHECK, CASES, RIGHT)
    assert result.points == 0.5
    assert "has not the expected form" in result.findings[0].words


def test_a_criterion_without_cases_is_not_met():
    result = decide(CHECK, CASES[:2], RIGHT[:2])
    assert [finding.met for finding in result.findings] == [True, False]
    assert "no case" in result.findings[1].words


def test_an_exception_in_the_probe_is_a_failure_even_where_the_judge_would_pass(monkeypatch):
    monkeypatch.setattr(Double, "judge", lambda self, case, answer: right())
    assert decide(CHECK, CASES, [Raised("TimeOut", "ran too long")] * 3).points == 0
    monkeypatch.setattr(Double, "judges_errors", True)
    assert decide(CHECK, CASES, [Raised("TimeOut", "ran too long")] * 3).points == 1.5


def test_the_probe_travels_as_a_self_contained_function():
    source = probe_source(CHECK)
    assert "staticmethod" not in source
    namespace: dict = {}
    exec(source, namespace)

    class Student:
        double = staticmethod(lambda x: 2 * x)

    assert namespace["probe"](Student, {"x": 4}) == 8


def test_the_same_seed_draws_the_same_cases_and_another_draws_others():
    seeds = [seed_for("secret", "01", "ada", "1", "double") for _ in range(2)]
    assert seeds[0] == seeds[1]
    others = {seed_for(*key) for key in [("s", "01", "ada", "1"), ("s", "01", "bob", "1"), ("s", "01", "ada", "2")]}
    assert len(others) == 3
    draws = {draw_cases(CHECK, seed)[0].inputs["x"] for seed in range(40)}
    assert len(draws) > 3


def test_a_case_for_an_unknown_criterion_is_the_authors_error(monkeypatch):
    monkeypatch.setattr(Double, "cases", lambda self, rng: [Case("large", {})])
    with pytest.raises(ValueError, match=r"'large'.*criteria has 'small', 'negative'"):
        draw_cases(CHECK, 1)


def test_a_refusal_needs_words():
    with pytest.raises(ValueError, match="needs words"):
        wrong("  ")


GOOD = """
from grader.hidden import Case, HiddenCheck, right
class A(HiddenCheck):
    exercise = "a"
    uses = ("a",)
    criteria = {"all": 1.0}
    def cases(self, rng): return []
    @staticmethod
    def probe(student, inputs): return None
    def judge(self, case, answer): return right()
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_that_name", "cannot be imported: ModuleNotFoundError"),
        ("def (", "cannot be imported: SyntaxError"),
        (GOOD.replace('    uses = ("a",)\n', ""), "A has no `uses`"),
        (GOOD.replace("    def judge", "    def judges"), "A has no `judge`"),
        (GOOD + GOOD.replace("class A", "class B"), "a second hidden check for 'a'"),
    ],
)
def test_an_authors_mistake_names_file_line_and_remedy(tmp_path, text, words):
    path = tmp_path / "hidden.py"
    path.write_text(text)
    with pytest.raises(AuthoringError) as caught:
        load_checks(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.remedy


def test_checks_are_found_by_label_in_order(tmp_path):
    path = tmp_path / "hidden.py"
    path.write_text(GOOD + GOOD.replace("class A", "class B").replace('"a"', '"b"'))
    assert list(load_checks(path)) == ["a", "b"]


def test_reading_a_chapters_files_leaves_nothing_beside_them(tmp_path):
    (tmp_path / "hidden.py").write_text(GOOD)
    before = sys.dont_write_bytecode
    load_checks(tmp_path / "hidden.py")
    assert sys.dont_write_bytecode == before
    assert [path.name for path in tmp_path.iterdir()] == ["hidden.py"]


def test_a_missing_or_shapeless_list_of_mistakes_is_reported(tmp_path):
    with pytest.raises(AuthoringError, match="the file is missing"):
        load_mistakes(tmp_path / "mistakes.py")
    (tmp_path / "mistakes.py").write_text("MISTAKES = [1]")
    with pytest.raises(AuthoringError, match="not a list of Mistake"):
        load_mistakes(tmp_path / "mistakes.py")


def test_arrays_are_described_by_shape_not_by_value():
    from grader.hidden import describe

    assert describe(np.zeros((2, 3), dtype=np.float32)) == "an array of float32 with shape (2, 3)"
    assert describe(3.5) == "3.5"
    assert len(describe("x" * 1000)) < 100
    assert describe({"count": 10**9000}) == "a dict too long to print"
