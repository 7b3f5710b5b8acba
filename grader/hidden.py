"""Hidden checks: what an author writes in `hidden.py`, and how a verdict comes about.

A hidden check has three parts, and only the middle one ever runs where student code runs::

    class Softmax(HiddenCheck):
        exercise = "softmax"                                  # the label of the answer cell
        uses = ("softmax",)                                   # the names the probe needs from the student
        criteria = {"values": 1.0, "large logits": 1.0}       # points; their sum is the cell's points-N

        def cases(self, rng):                                 # in the grader
            yield Case("values", {"logits": rng.normal(size=(2, 3, 5)), "temperature": 0.7})

        @staticmethod
        def probe(student, inputs):                           # in the student's process
            import torch
            return student.softmax(torch.tensor(inputs["logits"]), inputs["temperature"])

        def judge(self, case, answer):                        # in the grader
            if not close(answer, expected(**case.inputs)):
                return wrong(f"the rows do not match; is the temperature a divisor? temperature was {...}")
            return right()

`cases` draws inputs, `probe` calls the student's code and returns plain values (see `grader.wire`), `judge` decides
with expected values that it computes itself. The probe travels as its own source text, so it must be self-contained:
it may use its two parameters, builtins, and what it imports itself.

A criterion is met when it has at least one case and the judge says `right()` to every one of its cases. Silence, an
exception in the probe, a missing answer or a malformed one is a failure of that criterion, never a pass.
"""

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from grader.wire import Plain


@dataclass(frozen=True)
class Case:
    """One input for the probe.

    Attributes:
        criterion: the name of the criterion that this case decides.
        inputs: plain values; they enter the student's process.
        secret: what the judge needs and the student must not have, such as the seed behind the inputs.
    """

    criterion: str
    inputs: dict[str, Plain]
    secret: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Raised:
    """The student's code raised inside the probe, ended the process, ran out of time, or gave no usable answer.

    The grader turns this into a failed criterion by itself: a judge never sees it unless its check sets
    `judges_errors = True` (an exercise in which raising is the right answer).
    """

    kind: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """What a judge says of one case. Made by `right` and `wrong`, never directly."""

    passed: bool
    words: str = ""


def right() -> Verdict:
    """The answer is right: the only way to a point."""
    return Verdict(True)


def wrong(words: str) -> Verdict:
    """The answer is wrong: `words` name the misconception and show the input, never the expected answer."""
    if not words.strip():
        raise ValueError("wrong() needs words that tell the student what went wrong")
    return Verdict(False, words)


class HiddenCheck:
    """The hidden check of one exercise. Subclass it once for each exercise in `hidden.py`."""

    exercise: ClassVar[str]
    uses: ClassVar[Sequence[str]]
    criteria: ClassVar[Mapping[str, float]]
    judges_errors: ClassVar[bool] = False
    forbids: ClassVar[Mapping[str, str]] = {}
    """Forbidden shortcuts: a dotted call such as "F.cross_entropy" -> the sentence a student reads."""

    def cases(self, rng: Any) -> Iterable[Case]:
        """Draw the cases; `rng` is a numpy Generator, seeded from the student, the assignment and the attempt."""
        raise NotImplementedError

    @staticmethod
    def probe(student: Any, inputs: dict[str, Plain]) -> Plain:
        """Call the student's code (`student.NAME` for each name in `uses`) and return plain values."""
        raise NotImplementedError

    def judge(self, case: Case, answer: Plain) -> Verdict:
        """Decide one case: `right()` or `wrong("...")`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Finding:
    """One criterion of one exercise, decided."""

    criterion: str
    points: float
    max_points: float
    words: str = ""

    @property
    def met(self) -> bool:
        """Whether the judge said yes to every case of the criterion."""
        return self.points > 0


@dataclass(frozen=True)
class Result:
    """All criteria of one exercise, decided."""

    exercise: str
    findings: tuple[Finding, ...]

    @property
    def points(self) -> float:
        """The points earned."""
        return sum(finding.points for finding in self.findings)

    @property
    def max_points(self) -> float:
        """The points that a right answer earns."""
        return sum(finding.max_points for finding in self.findings)


def probe_source(check: HiddenCheck) -> str:
    """The text of the probe as a plain function named `probe`, ready to be run in another process."""
    return _source_of_probe(type(check).probe)


@functools.lru_cache(maxsize=512)
def _source_of_probe(probe: Callable[..., Plain]) -> str:
    source = textwrap.dedent(inspect.getsource(probe))
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef), "a probe is a plain function"
    function.decorator_list = []
    function.returns = None
    for argument in function.args.args:
        argument.annotation = None
    return ast.unparse(function)


def decide(check: HiddenCheck, cases: Sequence[Case], answers: Sequence[Plain | Raised]) -> Result:
    """Judge every case and add up the criteria.

    `answers` is aligned with `cases`; a missing tail counts as no answer. An exception inside a judge is a failure of
    the criterion whose words say that the checker stumbled over the answer: hostile values must not stop a batch.
    """
    words: dict[str, str] = {}
    decided: dict[str, int] = dict.fromkeys(check.criteria, 0)
    for index, case in enumerate(cases):
        answer = answers[index] if index < len(answers) else Raised("NoAnswer", "no answer came back")
        verdict = _verdict(check, case, answer)
        decided[case.criterion] += 1
        if not (type(verdict) is Verdict and verdict.passed is True) and case.criterion not in words:
            words[case.criterion] = verdict.words if type(verdict) is Verdict else "the check came to no verdict"
    findings = []
    for name, points in check.criteria.items():
        if not decided[name]:
            words.setdefault(name, "the check drew no case for this criterion")
        findings.append(Finding(name, 0.0 if name in words else points, points, words.get(name, "")))
    return Result(check.exercise, tuple(findings))


def _verdict(check: HiddenCheck, case: Case, answer: Plain | Raised) -> Verdict:
    if isinstance(answer, Raised) and not check.judges_errors:
        return wrong(f"{answer.kind}: {answer.message}" if answer.message else answer.kind)
    try:
        return check.judge(case, answer)
    except Exception as error:
        return wrong(
            f"the answer has not the expected form ({type(error).__name__} while comparing it; "
            f"it is {describe(answer)})"
        )


def describe(value: Plain) -> str:
    """A short description of a value for a message: its type and shape, and the value itself where it is small."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of {value.dtype} with shape {tuple(value.shape)}"
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        return f"a {type(value).__name__} too long to print"
    return text if len(text) <= 80 else f"a {type(value).__name__} ({text[:60]}…)"


def seed_for(secret: str, chapter: str, student: str, attempt: str, exercise: str = "") -> int:
    """The seed of one exercise's cases: fixed for this secret, chapter, student and attempt, unguessable without."""
    key = "\0".join([secret, chapter, student, attempt, exercise]).encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big")


def draw_cases(check: HiddenCheck, seed: int) -> list[Case]:
    """The cases for one seed, with the author's mistakes reported."""
    import numpy as np

    cases = list(check.cases(np.random.default_rng(seed)))
    for case in cases:
        if case.criterion not in check.criteria:
            raise ValueError(
                f"{type(check).__name__}.cases names the criterion {case.criterion!r}; "
                f"criteria has {', '.join(map(repr, check.criteria))}"
            )
    return cases


@dataclass(frozen=True)
class Mistake:
    """A plausible wrong answer in `mistakes.py`, which the hidden check must refuse with the right words.

    Attributes:
        exercise: the label of the answer cell that `code` replaces.
        name: a short name, unique within the exercise.
        belief: the misconception as one sentence, in the words of a learner; printed under "Common mistakes".
        says: words that the refusal must contain.
        code: the whole answer cell.
    """

    exercise: str
    name: str
    belief: str
    says: str
    code: str


@dataclass(frozen=True)
class Alternative:
    """A right answer in `alternatives.py`, written another way, which must get full marks."""

    exercise: str
    name: str
    code: str
