"""What the runs of a class left in `feedback/STUDENT/CHAPTER/result.json`, read for all students at once."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALL = "all"
"""The criterion of a failure that all criteria of an exercise share."""


@dataclass(frozen=True)
class Failure:
    """One criterion that was not met, and what the judge said."""

    exercise: str
    criterion: str
    words: str


@dataclass(frozen=True)
class Finished:
    """One student's result, as far as a report needs it.

    Attributes:
        student: the student.
        problem: why there was nothing to grade; empty where there was something.
        failures: the criteria that were not met; none where there was a problem.
        repairs: what was mended, one sentence each.
        suspicious: what a person should look at, one sentence each.
        isolation: "bubblewrap", "none", or empty where nothing ran.
        start: "warm", "cold", or empty where nothing ran.
        remark: why the engine did not do as usual.
        spent: wall seconds by exercise.
        seconds: wall seconds in all; None where nothing ran.
        cpu_seconds: of the whole process tree, where known.
        peak_mb: peak memory, where known.
    """

    student: str
    problem: str = ""
    failures: tuple[Failure, ...] = ()
    repairs: tuple[str, ...] = ()
    suspicious: tuple[str, ...] = ()
    isolation: str = ""
    start: str = ""
    remark: str = ""
    spent: tuple[tuple[str, float], ...] = ()
    seconds: float | None = None
    cpu_seconds: float | None = None
    peak_mb: float | None = None


def read_results(feedback: Path, chapter_id: str, students: Iterable[str]) -> dict[str, Finished]:
    """The results by student; who has none, or one that cannot be read, is absent."""

    found = (_read(f"{feedback}/{student}/{chapter_id}/result.json", student) for student in students)
    return {each.student: each for each in found if each is not None}


def _read(path: str, student: str) -> Finished | None:
    try:
        # a plain string and one read: ten thousand files take a second, and threads do not help
        with open(path, "rb") as file:  # noqa: PTH123
            return _finished(student, json.loads(file.read()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _finished(student: str, record: dict[str, Any]) -> Finished:
    problem, used = str(record.get("problem") or ""), record.get("used") or {}
    ran = bool(used.get("seconds"))
    failures = () if problem else tuple(_failures(record.get("exercises") or []))
    return Finished(
        student=student,
        problem=problem,
        failures=failures,
        repairs=tuple(map(str, record.get("repairs") or ())),
        suspicious=tuple(map(str, record.get("suspicious") or ())),
        isolation=str(record.get("isolation") or "") if ran else "",
        start=str(record.get("start") or "") if ran else "",
        remark=str(record.get("remark") or ""),
        spent=tuple(_spent(record.get("exercises") or [])),
        seconds=float(used["seconds"]) if ran else None,
        cpu_seconds=_number(used.get("cpu_seconds")),
        peak_mb=_number(used.get("peak_mb")),
    )


def _failures(exercises: list[dict[str, Any]]) -> Iterable[Failure]:
    for exercise in exercises:
        label, criteria = str(exercise["exercise"]), exercise["criteria"]
        words = {str(criterion["words"]) for criterion in criteria}
        # an answer that is missing or crashes fails every criterion for one reason: said once
        if len(criteria) > 1 and len(words) == 1 and not any(criterion["met"] for criterion in criteria):
            yield Failure(label, ALL, words.pop())
            continue
        for criterion in criteria:
            if not criterion["met"]:
                yield Failure(label, str(criterion["name"]), str(criterion["words"]))


def _spent(exercises: list[dict[str, Any]]) -> Iterable[tuple[str, float]]:
    for exercise in exercises:
        if exercise.get("spent") is not None:
            yield str(exercise["exercise"]), float(exercise["spent"])


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
