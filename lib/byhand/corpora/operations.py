"""A hidden operation to infer from demonstrations, where the best possible accuracy is known exactly.

Every row of a text hides one of twelve operations behind `#` and applies it to operands from 0 to 19:
`3 # 7 = 10; 4 # 2 = 6; 5 # 1 =`. Holds the rows, their text, and the Bayes-optimal prediction from the
demonstrations. Leaves out any model. Belongs to no chapter. After the regression tasks of Garg et al. 2022,
with operations in place of linear functions, so that the optimum can be counted.
"""

import functools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from byhand.corpora.vocabulary import Vocabulary

OPERANDS = 20
Operation = Callable[[int, int], int]
Demonstration = tuple[int, int, int]

OPERATIONS: Mapping[str, Operation] = {
    "left": lambda a, b: a,
    "right": lambda a, b: b,
    "larger": lambda a, b: max(a, b),
    "smaller": lambda a, b: min(a, b),
    "sum": lambda a, b: a + b,
    "distance": lambda a, b: abs(a - b),
    "sum mod 20": lambda a, b: (a + b) % OPERANDS,
    "difference mod 20": lambda a, b: (a - b) % OPERANDS,
    "product mod 20": lambda a, b: a * b % OPERANDS,
    "twice left plus right mod 20": lambda a, b: (2 * a + b) % OPERANDS,
    "left plus twice right mod 20": lambda a, b: (a + 2 * b) % OPERANDS,
    "complement of left": lambda a, b: OPERANDS - 1 - a,
}
"""The operations that the shipped model is trained on, each as likely."""

UNSEEN: Mapping[str, Operation] = {
    "three times left plus right mod 20": lambda a, b: (3 * a + b) % OPERANDS,
    "complement of right": lambda a, b: OPERANDS - 1 - b,
    "mean, rounded down": lambda a, b: (a + b) // 2,
}
"""Operations that the shipped model never sees: does it learn to learn, or to choose among what it knows?"""


@dataclass(frozen=True)
class Row:
    """One row: its operation's name, and what it shows.

    Attributes:
        operation: the name.
        demonstrations: `(a, b, result)`, in order; the last is the query and what should come out.
    """

    operation: str
    demonstrations: tuple[Demonstration, ...]

    @property
    def prompt(self) -> str:
        """The row up to the result of the query."""
        return self.text.rpartition(" ")[0]

    @property
    def text(self) -> str:
        """The whole row.

        >>> Row("sum", ((3, 7, 10), (4, 2, 6))).text
        '3 # 7 = 10; 4 # 2 = 6'
        """
        return "; ".join(f"{a} # {b} = {result}" for a, b, result in self.demonstrations)


def sample_rows(count: int, shots: int, seed: int, operations: Mapping[str, Operation] = OPERATIONS) -> list[Row]:
    """Draw rows of `shots` demonstrations and a query; the same seed gives the same rows.

    Operands are drawn evenly and independently, so a pair may come again. Rows of two seeds with three shots
    or more are as good as never the same: there are 12 * 400 ** (shots + 1).

    Raises:
        ValueError: when `shots` is negative.

    >>> sample_rows(1, shots=1, seed=0)[0].prompt
    '13 # 1 = 14; 8 # 16 ='
    """
    if shots < 0:
        raise ValueError(f"shots must not be negative, got {shots}: 0 shows the query alone")
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        name = rng.choice(list(operations))
        pairs = [(rng.randrange(OPERANDS), rng.randrange(OPERANDS)) for _ in range(shots + 1)]
        rows.append(Row(name, tuple((a, b, operations[name](a, b)) for a, b in pairs)))
    return rows


def bayes_probs(demonstrations: Sequence[Demonstration], a: int, b: int) -> dict[int, Fraction]:
    """The exact probability of each result of `a # b`, given the demonstrations; no model can know more.

    Every operation that agrees with all demonstrations is as likely as any other.

    Raises:
        ValueError: when no operation agrees with the demonstrations.

    >>> bayes_probs([(2, 2, 4), (3, 4, 7)], 19, 5)
    {24: Fraction(1, 2), 4: Fraction(1, 2)}
    """
    agreeing = [op for op in OPERATIONS.values() if all(op(x, y) == result for x, y, result in demonstrations)]
    if not agreeing:
        raise ValueError(f"none of the operations agrees with {list(demonstrations)}: are they from OPERATIONS?")
    probs: dict[int, Fraction] = {}
    for op in agreeing:
        probs[op(a, b)] = probs.get(op(a, b), Fraction(0)) + Fraction(1, len(agreeing))
    return probs


def bayes_accuracy(shots: int) -> Fraction:
    """The exact accuracy of the best predictor after `shots` demonstrations, over the draw of rows.

    All rows are counted, not sampled: what demonstrations leave possible is a set of operations, and few sets occur.

    >>> [round(float(bayes_accuracy(shots)), 3) for shots in (0, 1, 8)]
    [0.254, 0.77, 0.999]
    """
    possible = {name: {frozenset(OPERATIONS): Fraction(1)} for name in OPERATIONS}
    for _ in range(shots):
        possible = {name: _narrow(sets, _agreement(name)) for name, sets in possible.items()}
    right = Fraction(0)
    for sets in possible.values():
        for left_over, p in sets.items():
            right += p * _hit_rate(left_over)
    return right / len(OPERATIONS)


@functools.cache
def vocabulary() -> Vocabulary:
    """The tokens of all rows: numbers as single tokens, `#`, `=`, `;`, and `<end>` as id 0.

    >>> vocabulary().decode(vocabulary().encode("3 # 7 = 10; 4 # 2 ="))
    '3 # 7 = 10; 4 # 2 ='
    """
    return Vocabulary(["#", "=", ";", *map(str, range(2 * OPERANDS - 1))], r"\d+|\S")


Sets = dict[frozenset[str], Fraction]


@functools.cache
def _agreement(name: str) -> Sets:
    """How likely one demonstration of an operation leaves each set of operations possible."""
    found: Sets = {}
    for a, b in product(range(OPERANDS), repeat=2):
        result = OPERATIONS[name](a, b)
        same = frozenset(other for other, op in OPERATIONS.items() if op(a, b) == result)
        found[same] = found.get(same, Fraction(0)) + Fraction(1, OPERANDS**2)
    return found


def _narrow(before: Sets, shown: Sets) -> Sets:
    after: Sets = {}
    for (had, p), (same, q) in product(before.items(), shown.items()):
        after[had & same] = after.get(had & same, Fraction(0)) + p * q
    return after


@functools.cache
def _hit_rate(possible: frozenset[str]) -> Fraction:
    """How often the most likely result is right when one of these operations is the hidden one."""
    right = 0
    for a, b in product(range(OPERANDS), repeat=2):
        results = [OPERATIONS[name](a, b) for name in possible]
        right += max(map(results.count, results))
    return Fraction(right, OPERANDS**2 * len(possible))
