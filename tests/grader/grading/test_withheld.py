"""What a student reads repeats no line of the check."""

from typing import Any

import pytest

from grader.grading.withheld import INSTEAD, withhold
from grader.hidden import Case, Finding, HiddenCheck, Result, decide, probe_source, right, wrong


class Halve(HiddenCheck):
    """Halving."""

    exercise = "halve"
    uses = ("halve",)
    criteria = {"values": 1.0, "kind": 1.0}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Call it with one number."""
        answer = student.halve(inputs["first number"])
        return {"value": answer, "kind": type(answer).__name__}

    def judge(self, case: Any, answer: Any) -> Any:
        return right() if answer["kind"] == "float" else wrong(f"a {answer['kind']} came back")


CHECK = Halve()
SOURCE = probe_source(CHECK)


def said(words: str) -> str:
    result = Result("halve", (Finding("values", 0.0, 1.0, words), Finding("kind", 1.0, 1.0)))
    return withhold(CHECK, result).findings[0].words


@pytest.mark.parametrize(
    "words",
    [
        SOURCE,
        f"ValueError: {SOURCE}",
        repr(SOURCE),
        f"LookupError: {SOURCE.splitlines()[2]}",
        f"X: {SOURCE.splitlines()[2].strip()!r}",
        "X: answer   =  student.halve( inputs[\\'first number\\'] )",
        "\n".join(SOURCE.replace("(", "(\n").split(" ")),
    ],
)
def test_words_that_repeat_the_probe_are_not_shown(words: str) -> None:
    assert said(words) == INSTEAD


@pytest.mark.parametrize(
    "words", ["", "ZeroDivisionError: division by zero", "halve(3) gave 2; 1.5 halves are …", "answer"]
)
def test_other_words_stay(words: str) -> None:
    assert said(words) == words


def test_an_answer_that_a_judge_quotes_carries_nothing_out() -> None:
    cases = [Case("values", {}), Case("kind", {})]
    result = decide(CHECK, cases, [{"kind": SOURCE}, {"kind": "float"}])
    assert SOURCE in result.findings[0].words
    shown = withhold(CHECK, result)
    assert [(finding.words, finding.met) for finding in shown.findings] == [(INSTEAD, False), ("", True)]
