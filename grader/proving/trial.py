"""One candidate on trial: its cell, the visible checks, the hidden check, the way the engine runs them."""

import contextlib
import linecache
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from grader.course import Budget
from grader.hidden import Case, HiddenCheck, Raised, decide, draw_cases, probe_source
from grader.wire import decode, encode

Namespace = dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """The cases of one seed, drawn once for all candidates of an exercise."""

    cases: tuple[Case, ...]
    inputs: tuple[bytes, ...]
    seconds: float


@dataclass(frozen=True)
class Hearing:
    """What one seed's hidden check said: criterion -> words, "" where it is met; and its CPU time."""

    points: float
    words: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class Trial:
    """What became of one candidate.

    Attributes:
        visible: "" when the visible checks passed, else what they said.
        hearings: one for each seed; empty when the candidate ended its process.
        ended: "" or how it ended before there was a result ("no result within 10 s").
        seconds: CPU time of all of it.
    """

    visible: str = ""
    hearings: list[Hearing] = field(default_factory=list)
    ended: str = ""
    seconds: float = 0.0


def draw(check: HiddenCheck, seed: int) -> Drawn:
    """Draw the cases of a seed and encode their inputs, as the grader does before anything is sent."""
    began = time.process_time()
    cases = tuple(draw_cases(check, seed))
    inputs = tuple(encode(case.inputs) for case in cases)
    return Drawn(cases, inputs, time.process_time() - began)


def try_candidate(
    code: str,
    between: Sequence[str],
    visible: str,
    check: HiddenCheck | None,
    drawn: Sequence[Drawn],
    namespace: Namespace,
    budget: Budget,
    forbidden: str = "",
) -> Trial:
    """Run a candidate in `namespace`, which it may spoil: call this in a process of its own.

    The probes see the names that the check uses as they are before the visible checks run.
    `between` are the parts of the page that lie between the answer and its checks; `visible` is the checks
    cell.
    """
    began = time.process_time()
    above = [(code, "<answer>"), *((part, "<page>") for part in between)]
    said = _run_all(above, namespace, budget.cell_seconds)
    uses = check.uses if check else ()
    student = SimpleNamespace(**{name: namespace[name] for name in uses if name in namespace})
    said = _run_all([(visible, "<visible checks>")], namespace, budget.cell_seconds) or said
    hearings = []
    if check is not None and forbidden:
        hearings = [Hearing(0.0, dict.fromkeys(check.criteria, forbidden), 0.0) for _ in drawn]
    elif check is not None:
        hearings = [hear(check, part, student, budget.check_seconds) for part in drawn]
    return Trial(said, hearings, "", time.process_time() - began)


def _run_all(texts: Sequence[tuple[str, str]], namespace: Namespace, seconds: float) -> str:
    """Run cells one after the other, as "Run All" does; the last exception in words, "" without one."""
    said = ""
    for text, name in texts:
        seed_everything()
        try:
            with time_limit(seconds):
                run_text(text, name, namespace)
        except BaseException as error:
            said = in_words(error)
    return said


def hear(check: HiddenCheck, drawn: Drawn, student: Any, seconds: float) -> Hearing:
    """Probe and judge one seed's cases; inputs and answers cross the wire format as they do in grading.

    All probes together may take `seconds`; those that are left then have no answer.
    """
    began = time.process_time()
    place: Namespace = {"__name__": "probe"}
    run_text(probe_source(check), "<probe>", place)
    answers: list[Any] = []
    try:
        with time_limit(seconds):
            for data in drawn.inputs:
                seed_everything()
                try:
                    answers.append(decode(encode(place["probe"](student, decode(data)))))
                except TimeLimit:
                    raise
                except BaseException as error:
                    answers.append(Raised(type(error).__name__, str(error)))
    except TimeLimit:
        late = Raised("TimeLimit", f"the check ran longer than {seconds:g} s")
        answers += [late] * (len(drawn.inputs) - len(answers))
    result = decide(check, drawn.cases, answers)
    words = {finding.criterion: "" if finding.met else finding.words or "not met" for finding in result.findings}
    return Hearing(result.points, words, drawn.seconds + time.process_time() - began)


def seed_everything() -> None:
    """Fix the draws of chance of what is loaded, as the engine does before each cell's probe."""
    random.seed(0)
    for name, seed in (("numpy.random", "seed"), ("torch", "manual_seed")):
        if name in sys.modules:
            getattr(sys.modules[name], seed)(0)


class TimeLimit(BaseException):
    """It took too long. No Exception, so that an answer's own `except` lets it pass."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimit` in the body after `seconds` of CPU time, so that a busy machine changes nothing.

    Code that does not return to Python, or sleeps, is not stopped.
    """

    def ring(*_: Any) -> None:
        raise TimeLimit(f"longer than {seconds:g} s")

    previous = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def run_text(text: str, name: str, namespace: Namespace) -> None:
    """Run Python text so that its source can be found (`inspect.getsource`, traces), as a notebook's can."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), namespace)  # noqa: S102 - the authors' own code


def in_words(error: BaseException) -> str:
    """An exception as one line.

    >>> in_words(ValueError("no such thing"))
    'ValueError: no such thing'
    """
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
