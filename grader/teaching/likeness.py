"""Answers that are almost the same text, where the rest of the class wrote something else.

This is a reason to look, never a verdict: a short exercise has few right answers, and two people who learned
from the same page write alike. So a pair is reported only where nearly the whole answer agrees (names of
variables, spaces, comments and docstrings aside) *and* what agrees is rare in the class, and long, and far more
than a student of this class shares with anybody.
"""

import builtins
import keyword
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

WINDOW = 8
"""Tokens in one piece of text: about one short statement."""

ALIKE = 0.8
"""The share of two answers' pieces that must agree."""

ENOUGH_PIECES = 30
"""Rare pieces that two students must share: about four lines of their own."""

FAR_ABOVE = 3.0
"""How many times more than the median student shares with anybody."""

RARE = 50
"""A piece is rare where one answer of so many has it: in a small class at most three, in a large one at most thirty."""

LONGEST = 50_000
"""Characters of an answer that are looked at."""

ENOUGH_ANSWERS = 10
"""With fewer answers to an exercise nothing can be called rare."""

_TOKEN = re.compile(
    r"""(?P<skip>\#[^\n]*|\s+|\\\n)
    |(?P<text>[rbfuRBFU]{0,3}(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
    |(?P<name>[^\W\d]\w*)
    |(?P<number>\.?\d[\w.]*)
    |(?P<mark>\*\*|//|->|:=|[-+*/%@&|^<>=!]=|<<|>>|.)""",
    re.VERBOSE | re.DOTALL,
)
_KEPT = frozenset(keyword.kwlist) | frozenset(vars(builtins))


@dataclass(frozen=True)
class Alike:
    """Students whose answers are almost the same text.

    Attributes:
        students: by name.
        exercises: where, by label.
        pieces: rare pieces shared by the pair of them that shares most.
    """

    students: tuple[str, ...]
    exercises: tuple[str, ...]
    pieces: int


def tokens_of(source: str) -> list[str]:
    """The tokens of an answer, all variables called alike; comments, spaces and lone strings are left out.

    Names after a dot and builtins stay. Code that is no Python has tokens too.

    >>> tokens_of("total = torch.exp(row)  # why")
    ['_', '=', '_', '.', 'exp', '(', '_', ')']
    """
    found: list[str] = []
    fresh = True  # at the start of a line, where a string alone is a docstring
    for match in _TOKEN.finditer(source[:LONGEST]):
        kind, text = match.lastgroup, match.group()
        if kind == "skip":
            fresh = fresh or "\n" in text
            continue
        if kind == "text" and fresh:
            continue
        if kind == "name":
            text = text if text in _KEPT or (found and found[-1] == ".") else "_"
        found.append(text)
        fresh = False
    return found


def pieces_of(source: str, skeleton: frozenset[int] = frozenset()) -> frozenset[int]:
    """Every run of eight tokens, as hashes, without those of the skeleton."""
    tokens = tokens_of(source)
    runs = (tuple(tokens[start : start + WINDOW]) for start in range(len(tokens) - WINDOW + 1))
    return frozenset(map(hash, runs)) - skeleton


def find_alike(answers: Mapping[str, Mapping[str, str]], skeleton: Mapping[str, str]) -> list[Alike]:
    """The students of a class who hand in almost the same text, the longest first.

    Args:
        answers: by exercise, the source of each student's answer.
        skeleton: by exercise, what the notebook held before anybody answered.
    """
    shared: dict[tuple[str, str], Counter[str]] = {}
    for label, sources in answers.items():
        given = pieces_of(skeleton.get(label, ""))
        known: dict[str, frozenset[int]] = {}
        pieces = {}
        for student, source in sources.items():
            if source not in known:
                known[source] = pieces_of(source, given)
            if known[source]:
                pieces[student] = known[source]
        for first, second, count in _rare_pairs(pieces):
            shared.setdefault((first, second), Counter())[label] = count
    best: dict[str, int] = {}
    for pair, counts in shared.items():
        for student in pair:
            best[student] = max(best.get(student, 0), counts.total())
    everybody = {student for sources in answers.values() for student in sources}
    usual = statistics.median(best.get(student, 0) for student in everybody) if everybody else 0
    least = max(ENOUGH_PIECES, FAR_ABOVE * usual)
    return _groups({pair: counts for pair, counts in shared.items() if counts.total() >= least})


def _rare_pairs(pieces: Mapping[str, frozenset[int]]) -> Iterator[tuple[str, str, int]]:
    """Pairs of answers that agree almost wholly, with the number of rare pieces that they share."""
    if len(pieces) < ENOUGH_ANSWERS:
        return
    most = max(3, min(30, len(pieces) // RARE))
    holders: dict[int, list[str]] = {}
    for student in sorted(pieces):
        for piece in pieces[student]:
            holders.setdefault(piece, []).append(student)
    counts: Counter[tuple[str, str]] = Counter()
    for students in holders.values():
        if 2 <= len(students) <= most:
            counts.update(combinations(students, 2))
    for (first, second), count in counts.items():
        both = len(pieces[first] & pieces[second])
        if both >= ALIKE * (len(pieces[first]) + len(pieces[second]) - both):
            yield first, second, count


def _groups(pairs: Mapping[tuple[str, str], Counter[str]]) -> list[Alike]:
    """Pairs that have a student in common, put together."""
    group_of: dict[str, set[str]] = {}
    for pair in pairs:
        merged = set(pair).union(*(group_of.get(student, ()) for student in pair))
        for student in merged:
            group_of[student] = merged
    found = []
    for group in {id(group): group for group in group_of.values()}.values():
        own = [counts for pair, counts in pairs.items() if pair[0] in group]
        labels = sorted({label for counts in own for label in counts})
        found.append(Alike(tuple(sorted(group)), tuple(labels), max(counts.total() for counts in own)))
    return sorted(found, key=lambda each: (-each.pieces, each.students))


def read_answers(paths: Iterable[tuple[str, str]], labels: Iterable[str]) -> dict[str, dict[str, str]]:
    """The answers of a class by exercise, from its autograded notebooks.

    Args:
        paths: (student, path of the notebook); one that cannot be read is left out.
        labels: the grade ids of the answer cells to read.
    """
    import json

    answers: dict[str, dict[str, str]] = {label: {} for label in labels}
    for student, path in paths:
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                cells = json.loads(file.read())["cells"]
            for cell in cells:
                label = cell["metadata"].get("nbgrader", {}).get("grade_id")
                if label in answers and cell["cell_type"] == "code":
                    answers[label][student] = "".join(cell["source"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return answers
