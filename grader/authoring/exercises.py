"""Exercises: what a card must say, and the cells that belong to it."""

import re

from grader.authoring.markup import Directive
from grader.authoring.page import Cell, Exercise, Page, chapter_number
from grader.authoring.problems import Problems

FIELDS = ("label", "number", "difficulty", "importance", "minutes")


def exercises_of(page: Page, problems: Problems) -> tuple[Exercise, ...]:
    """The exercises in the order of their cards. A card that is wrong is reported and left out."""
    answers = {cell.label: cell for cell in page.cells if cell.role in ("answer", "essay") and cell.label}
    checks = {cell.label: cell for cell in page.cells if cell.role == "checks" and cell.label}
    cards = page.directives("exercise")
    found: list[Exercise] = []
    for index, card in enumerate(cards, 1):
        label = card.options.get("label", "")
        before = len(problems.found)
        _check_card(page, card, index, [other.options.get("number", "") for other in cards[: index - 1]], problems)
        answer = answers.get(label)
        if label and answer is None:
            problems.add(
                page.path,
                card.line,
                f"the exercise {label!r} has no answer cell",
                f"tag a cell [answer], label {label}",
            )
        if answer is not None and answer.opening < card.line:
            problems.add(
                page.path,
                card.line,
                f"the card of {label!r} comes after its answer",
                "put the card above the answer cell",
            )
        if any(exercise.label == label for exercise in found):
            problems.add(page.path, card.line, f"a second card for {label!r}", "keep one card for each exercise")
        if answer is not None and len(problems.found) == before:
            found.append(_exercise(card, answer, checks.get(f"{label}-checks")))
    labels = {card.options.get("label") for card in cards}
    for label, cell in answers.items():
        if label not in labels:
            problems.add(
                page.path,
                cell.opening,
                f"the answer {label!r} has no exercise card",
                f"write :::{{exercise}} with :label: {label}",
            )
    return tuple(found)


def _exercise(card: Directive, answer: Cell, checks: Cell | None) -> Exercise:
    graded = checks if answer.role == "answer" else answer
    return Exercise(
        label=card.options["label"],
        number=card.options["number"],
        title=card.argument,
        points=(graded.points if graded else None) or 0.0,
        difficulty=int(card.options["difficulty"]),
        importance=int(card.options["importance"]),
        minutes=int(card.options["minutes"]),
        builds_on=_numbers(card.options.get("builds-on", "")),
        text=card.body.strip("\n"),
        answer=answer.source,
        checks=checks.source if checks else "",
        line=card.line,
    )


def _numbers(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _check_card(page: Page, card: Directive, index: int, earlier: list[str], problems: Problems) -> None:
    def complain(key: str, problem: str, remedy: str) -> None:
        problems.add(page.path, card.option_lines.get(key, card.line), problem, remedy)

    if not card.argument:
        complain(
            "",
            "an exercise card without a title",
            "write it after the name: :::{exercise} Softmax with temperature",
        )
    for key in FIELDS:
        if not card.options.get(key):
            complain(key, f"an exercise card without :{key}:", f"add a line `:{key}: …` below the title")
    number = card.options.get("number", "")
    expected = f"{chapter_number(page.chapter)}.{index}"
    if number and number != expected:
        complain("number", f"exercise number {number} where {expected} comes next", f"write :number: {expected}")
    for key in ("difficulty", "importance"):
        if (value := card.options.get(key)) and not re.fullmatch("[1-5]", value):
            complain(key, f":{key}: is {value}", "write a whole number from 1 to 5")
    if (minutes := card.options.get("minutes")) and not re.fullmatch("[1-9][0-9]*", minutes):
        complain("minutes", f":minutes: is {minutes}", "write a whole number of minutes")
    for earlier_number in _numbers(card.options.get("builds-on", "")):
        chapter = earlier_number.split(".")[0]
        other = chapter.isdigit() and int(chapter) < chapter_number(page.chapter)
        if earlier_number not in earlier and not other:
            complain(
                "builds-on",
                f"builds on {earlier_number}, which does not come before it",
                "name earlier exercises",
            )
    if not card.body.strip():
        complain(
            "",
            f"the exercise {card.options.get('label', '')!r} has no text",
            "write the task below the options",
        )
