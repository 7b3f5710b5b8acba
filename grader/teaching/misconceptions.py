"""What a class got wrong, grouped: the same misconception in the same words, whatever the inputs were.

A judge's words name the misconception and show the input that told, so two students who think the same are
told the same sentence about other numbers. Here the numbers, the lists and the quoted values are taken out, and
what is left is the group. Where the course's own list of mistakes knows the words, the group bears its name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grader.hidden import Mistake
from grader.teaching.results import Failure, Finished

EXAMPLES = 5
"""Students named for each group."""

_QUOTED = re.compile(r"(?<!\w)(?:'[^'\n]*'|\"[^\"\n]*\")(?!\w)")
_BRACKETED = re.compile(r"[(\[{][^()\[\]{}]*[)\]}]")
_NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:\d+(?:[,_]\d{3})*(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?(?!\w)", re.IGNORECASE)
_SETTING = re.compile(r"(?<==)(?:True|False|None|[-−]?(?:nan|inf))\b")
_REPEATED = re.compile(r"…(?:,? …)+")


@dataclass(frozen=True)
class Misconception:
    """One way to get one criterion wrong.

    Attributes:
        exercise: the exercise's label.
        criterion: the criterion's name.
        name: from the course's list of mistakes; empty where it has no such words.
        belief: the mistake as a learner would say it; empty where the name is.
        words: what the judge said to one of the students.
        count: how many students.
        share: of those with a result for the exercise, from 0 to 1.
        students: some of them.
    """

    exercise: str
    criterion: str
    name: str
    belief: str
    words: str
    count: int
    share: float
    students: tuple[str, ...]


def group_failures(
    results: Iterable[Finished], mistakes: Sequence[Mistake] = (), order: Sequence[str] = ()
) -> list[Misconception]:
    """The failures of a class, the most frequent first; equal counts in the order of the exercises.

    Args:
        results: of the students; those with nothing to grade do not count.
        mistakes: the chapter's own list.
        order: the labels of the exercises.
    """
    groups: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    named: dict[tuple[str, str, str], Mistake | None] = {}
    seen: dict[tuple[str, str], tuple[str, Mistake | None]] = {}
    by_exercise: dict[str, list[Mistake]] = {}
    for mistake in mistakes:
        by_exercise.setdefault(mistake.exercise, []).append(mistake)
    total = 0
    for result in results:
        total += not result.problem
        for failure in result.failures:
            known = seen.get((failure.exercise, failure.words))
            if known is None:
                known = seen[failure.exercise, failure.words] = _sort(failure, by_exercise)
            key = (failure.exercise, failure.criterion, known[0])
            named[key] = known[1]
            groups.setdefault(key, []).append((result.student, failure.words))
    places = {label: place for place, label in enumerate(order)}
    found = [_group(key, members, named[key], total) for key, members in groups.items()]
    return sorted(
        found, key=lambda each: (-each.count, places.get(each.exercise, len(places)), each.criterion, each.words)
    )


def _sort(failure: Failure, mistakes: Mapping[str, Sequence[Mistake]]) -> tuple[str, Mistake | None]:
    mistake = _known(failure.words, mistakes.get(failure.exercise, ()))
    return (f"mistake {mistake.name}" if mistake else without_values(failure.words)), mistake


def _known(words: str, mistakes: Sequence[Mistake]) -> Mistake | None:
    """The mistake whose words stand in these; the longest words where several do, none where two are as long."""
    fitting = sorted((each for each in mistakes if each.says in words), key=lambda each: -len(each.says))
    if not fitting or (len(fitting) > 1 and len(fitting[0].says) == len(fitting[1].says)):
        return None
    return fitting[0]


def _group(
    key: tuple[str, str, str], members: Sequence[tuple[str, str]], mistake: Mistake | None, total: int
) -> Misconception:
    students = sorted({student for student, _ in members})
    return Misconception(
        exercise=key[0],
        criterion=key[1],
        name=mistake.name if mistake else "",
        belief=mistake.belief if mistake else "",
        words=min(members)[1],
        count=len(students),
        share=len(students) / total if total else 0.0,
        students=tuple(students[:EXAMPLES]),
    )


def without_values(words: str) -> str:
    """The words with every shown value replaced by an ellipsis.

    >>> without_values("the sum of [1.5, -2] is not 3.0; temperature=0.7")
    'the sum of … is not …; temperature=…'
    >>> without_values("dtype changed from float64 to float32, see x_1")
    'dtype changed from float64 to float32, see x_1'
    """
    words = _QUOTED.sub("…", words)
    before = ""
    while before != words:
        before, words = words, _BRACKETED.sub("…", words)
    words = _SETTING.sub("…", _NUMBER.sub("…", words))
    return _REPEATED.sub("…", " ".join(words.split()))
