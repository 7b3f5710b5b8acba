r"""Word problems of two to five steps, each with a direct and a written-out answer, drawn from a seed.

Seven kinds (`KINDS`), told in `byhand.corpora.templates`. The answer is computed from the numbers that were
drawn, before any sentence exists, so no parser decides what is right. Text has one form, which the shipped
models know: `Q: …\nA: …\n`, demonstrations before the question, and behind `A:` the trigger where steps are
wanted. Digits are tokens. Belongs to no chapter.
"""

import functools
import hashlib
import operator
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from byhand.corpora.templates import ASKED, KINDS, NAMES, RELATIVES, THINGS, TOLD
from byhand.corpora.vocabulary import Vocabulary

TRIGGER = "Let's think step by step."
"""Behind `A:` it asks for written-out steps (Kojima et al. 2022, section 3)."""

INSTRUCTIONS = (
    "Answer the question.",
    "Solve the problem.",
    "Give only the answer.",
    "You are a careful teacher.",
    "You are a good student.",
)
"""Lines that may stand before everything else; the models have seen them, and they change nothing."""

LARGEST = 400
"""No number in a problem is larger."""

Style = Literal["direct", "steps", "trigger"]
_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.floordiv,
}


@dataclass(frozen=True)
class Step:
    """One calculation: `left sign right`, in whole numbers; a division leaves no remainder."""

    left: int
    sign: str
    right: int

    @property
    def value(self) -> int:
        """What it comes to."""
        return _OPERATORS[self.sign](self.left, self.right)

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right} = {self.value}."


@dataclass(frozen=True)
class Problem:
    """One word problem.

    Attributes:
        kind: one of `KINDS`.
        question: on one line, ending in a question mark.
        steps: the calculations that lead to the answer, in order.
    """

    kind: str
    question: str
    steps: tuple[Step, ...]

    @property
    def answer(self) -> int:
        """The right answer: the value of the last step."""
        return self.steps[-1].value

    @property
    def direct(self) -> str:
        """The answer in one sentence."""
        return f"The answer is {self.answer}."

    @property
    def written_out(self) -> str:
        """The steps, then the answer in one sentence."""
        return " ".join([*map(str, self.steps), self.direct])

    @property
    def is_held_out(self) -> bool:
        """Whether the problem belongs to the held-out tenth.

        A hash of the calculations decides, so the same numbers under other names are on the same side, and
        no seed can draw a training problem that a held-out one repeats.
        """
        return hashlib.sha256(" ".join(map(str, self.steps)).encode()).digest()[0] < 26

    def demonstrate(self, style: Style) -> str:
        r"""Question and answer: `direct`, with `steps`, or with the `trigger` and steps.

        >>> problem = Problem("bus", "A bus leaves with 9 people. 2 get off. How many ride on?", (Step(9, "-", 2),))
        >>> print(problem.demonstrate("trigger"), end="")
        Q: A bus leaves with 9 people. 2 get off. How many ride on?
        A: Let's think step by step. 9 - 2 = 7. The answer is 7.
        """
        answer = {"direct": self.direct, "steps": self.written_out, "trigger": f"{TRIGGER} {self.written_out}"}
        return f"Q: {self.question}\nA: {answer[style]}\n"


def ask(question: str, demonstrations: Sequence[str] = (), trigger: bool = False, instruction: str = "") -> str:
    r"""The prompt for a question: instruction, demonstrations, the question, and an open answer.

    The model's answer ends with a new line.

    Args:
        question: on one line.
        demonstrations: texts in the form of `Problem.demonstrate`.
        trigger: whether the trigger stands behind `A:`.
        instruction: one of `INSTRUCTIONS`, or any line of the vocabulary.

    >>> ask("How many?", trigger=True)
    "Q: How many?\nA: Let's think step by step."
    """
    opening = f"{instruction}\n" if instruction else ""
    return opening + "".join(demonstrations) + f"Q: {question}\nA:" + (f" {TRIGGER}" if trigger else "")


def sample_problems(
    count: int, seed: int, *, heldout: bool = False, kinds: Sequence[str] = KINDS, steps: Sequence[int] = (2, 3, 4, 5)
) -> list[Problem]:
    """Draw problems; the same seed gives the same ones, and training and held-out problems never meet.

    Args:
        count: how many.
        seed: of the draw.
        heldout: from the held-out tenth rather than from the rest.
        kinds: to draw from, each as often.
        steps: numbers of steps to draw from, each as often.

    Raises:
        ValueError: for a kind that does not exist or a number of steps below one.
    """
    strange = sorted(set(kinds) - set(KINDS))
    if strange or not kinds:
        raise ValueError(f"there is no kind {strange}: choose from {list(KINDS)}")
    if not steps or min(steps) < 1:
        raise ValueError(f"steps must be numbers above 0, got {list(steps)}: (2, 3, 4, 5) is usual")
    rng = random.Random(seed)
    problems: list[Problem] = []
    while len(problems) < count:
        problem = _draw(rng, rng.choice(kinds), rng.choice(steps))
        if problem.is_held_out == heldout:
            problems.append(problem)
    return problems


def sample_document(rng: random.Random, style: Style, count: int, *, instruction: bool = False) -> str:
    """`count` training problems as one text of one style: what a model is trained on.

    >>> sample_document(random.Random(1), "direct", 2).count("The answer is")
    2
    """
    opening = rng.choice(INSTRUCTIONS) + "\n" if instruction else ""
    problems = sample_problems(count, seed=rng.getrandbits(48))
    return opening + "".join(problem.demonstrate(style) for problem in problems)


def read_answer(text: str) -> int | None:
    r"""The number behind the first "The answer is", or None: how an answer of a model is marked.

    >>> read_answer("12 + 5 = 17. The answer is 17.\nQ: The answer is 3."), read_answer("17")
    (17, None)
    """
    found = re.search(r"The answer is (\d+)\.", text)
    return int(found[1]) if found else None


@functools.cache
def vocabulary() -> Vocabulary:
    r"""The tokens of all problems: digits, signs and words, `<end>` as id 0.

    >>> vocabulary().decode(vocabulary().encode("Q: Mia has 12 apples.\nA:"))
    'Q: Mia has 12 apples.\nA:'
    """
    told = " ".join(text for kind in KINDS for texts in TOLD[kind].values() for text in texts)
    asked = " ".join(text for texts in ASKED.values() for text in texts)
    slots = " ".join([*(form for name in NAMES for form in (name, *NAMES[name])), *THINGS, *RELATIVES])
    fixed = " ".join([TRIGGER, *INSTRUCTIONS, "Q: A: The answer is . ? ,"])
    words = set(re.findall(r"[A-Za-z']+|[^\sA-Za-z]", re.sub(r"\{\w+\}", " ", f"{told} {asked} {slots} {fixed}")))
    signs = [*"0123456789", *"+-*/=", "\n"]
    return Vocabulary([*signs, *sorted(words - set(signs))], r"\n|\d|[A-Za-z']+|[^\sA-Za-z\d]")


def _draw(rng: random.Random, kind: str, count: int) -> Problem:
    """One problem of `count` steps; a move that does not fit what stands there is drawn again."""
    names = rng.sample(list(NAMES), len(NAMES))
    words = dict(zip(("She", "she", "him", "his"), NAMES[names[0]], strict=True))
    words |= {"hero": names[0], "last": "", "things": rng.choice(THINGS), "relative": rng.choice(RELATIVES)}
    steps: list[Step] = []
    told: list[str] = []
    sentences: list[str] = []
    value = 0
    while len(steps) < count or not sentences:
        move = rng.choice([move for move in TOLD[kind] if move.endswith("=") == (not sentences)])
        numbers, new = _calculate(rng, move, value)
        if len(steps) + len(new) > count or not all(map(_is_small_and_whole, new)):
            continue
        words |= {"friend": rng.choice(names[1:]), "new": names[len(sentences) % len(names)]}
        wording = rng.choice([text for text in TOLD[kind][move] if text not in told] or TOLD[kind][move])
        told.append(wording)
        sentences.append(wording.format(**words, **numbers))
        words["last"] = words["new"]
        steps += new
        value = new[-1].value if new else numbers["n"]
    sentences.append(rng.choice(ASKED[kind]).format(**words))
    return Problem(kind, " ".join(sentences), tuple(steps))


def _calculate(rng: random.Random, move: str, value: int) -> tuple[dict[str, int], list[Step]]:
    """The numbers that a move tells of, and its steps from `value` on."""
    k, n = rng.randint(2, 9), rng.randint(2, 12)
    if move == "=":
        return {"n": rng.randint(10, 99)}, []
    if move in ("+", "-"):
        n = rng.randint(2, 60)
        return {"n": n}, [Step(value, move, n)]
    if move in ("*", "/"):
        k = rng.randint(2, 5)
        return {"k": k}, [Step(value, move, k)]
    product = Step(k, "*", n)
    return {"k": k, "n": n}, [product] if move == "*=" else [product, Step(value, move[1], product.value)]


def _is_small_and_whole(step: Step) -> bool:
    return 1 <= step.value <= LARGEST and (step.sign != "/" or step.left % step.right == 0)
