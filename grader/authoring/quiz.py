"""A quiz: one question, choices, and an explanation of every choice, the wrong ones above all.

::

    :::{quiz}
    Which of these is a probability?

    - [ ] 1.2 — no probability is above 1.
    - [x] 0.2 — it is between 0 and 1.
    :::
"""

import re
from dataclasses import dataclass

ITEM = re.compile(r"^\s*[-*]\s+\[(?P<mark>[ xX])\]\s+(?P<text>.*)$")


@dataclass(frozen=True)
class Choice:
    """One choice and why it is right or wrong."""

    right: bool
    text: str
    explanation: str

    @property
    def verdict(self) -> str:
        """What stands before the explanation."""
        return "**Right:**" if self.right else "**Not so:**"


@dataclass(frozen=True)
class Quiz:
    """A question and its choices."""

    question: str
    choices: tuple[Choice, ...]


class QuizError(ValueError):
    """A quiz that cannot be shown; `line` counts the body's lines from 0, None means the quiz as a whole."""

    def __init__(self, line: int | None, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.line, self.problem, self.remedy = line, problem, remedy


def parse_quiz(body: str) -> Quiz:
    """Read the body of a `{quiz}`.

    Raises:
        QuizError: with the line, the problem and the remedy.

    >>> parse_quiz("Is 2 even?\\n\\n- [x] Yes — 2 = 2 · 1.\\n- [ ] No — it is no odd number.").choices[0].text
    'Yes'
    """
    question: list[str] = []
    items: list[tuple[int, bool, list[str]]] = []
    for number, line in enumerate(body.split("\n")):
        item = ITEM.match(line)
        if item:
            items.append((number, item["mark"] != " ", [item["text"]]))
        elif not items:
            question.append(line)
        elif line.strip() and line.startswith(" "):
            items[-1][2].append(line.strip())
        elif line.strip():
            raise QuizError(
                number, "text after a quiz's choices", "one question a quiz; indent what continues a choice"
            )
    if not "".join(question).strip():
        raise QuizError(None, "a quiz without a question", "write the question above the choices")
    if len(items) < 2:
        raise QuizError(None, "a quiz with fewer than two choices", "write them as `- [x] text — explanation`")
    if not any(right for _, right, _ in items):
        raise QuizError(items[0][0], "a quiz without a right choice", "mark it with [x]")
    return Quiz("\n".join(question).strip("\n"), tuple(_choice(*item) for item in items))


def _choice(number: int, right: bool, lines: list[str]) -> Choice:
    text, dash, explanation = " ".join(lines).partition(" — ")
    if not dash or not explanation.strip():
        raise QuizError(
            number, f"the choice {text!r} has no explanation", "write it after the text: `text — explanation`"
        )
    return Choice(right, text.strip(), explanation.strip())
