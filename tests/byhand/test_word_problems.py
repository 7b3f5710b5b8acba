"""Word problems: the answer is what the sentences say, no problem leaks, and text survives the vocabulary."""

import random
import re
from fractions import Fraction

import pytest
from byhand.corpora.templates import ASKED, KINDS, TOLD
from byhand.corpora.vocabulary import END, Vocabulary
from byhand.corpora.word_problems import (
    INSTRUCTIONS,
    LARGEST,
    TRIGGER,
    Problem,
    Step,
    ask,
    read_answer,
    sample_document,
    sample_problems,
    vocabulary,
)

LESS = re.compile(
    r"gives \d+ \w+ to|gives \d+ friends|loses|takes \d+ (of|grams out)|throws|buys|spends|costs|pays for|get off"
    r"|leave\.|reads|finishes|spills|takes out|breaks \d+ trees|die|Goats eat|cut down|away|fewer"
)


def solve(question: str) -> int:
    """The answer by reading the question: another way than the one it was made by."""
    value, known = 0, set()
    for place, sentence in enumerate(re.split(r"(?<=[.])\s", question)[:-1]):
        amount, numbers = 1, [int(number) for number in re.findall(r"\d+", sentence)]
        for number in numbers:
            amount *= number
        names = re.findall(r"\b[A-Z][a-z]+\b", sentence)
        if place == 0:
            value = amount
        elif re.search(r"equal (piles|parts)", sentence) or ("points as" in sentence and names[0] in known):
            value, left = divmod(value, amount)
            assert left == 0
        elif "times as" in sentence:
            value *= amount
        elif LESS.search(sentence):
            value -= amount
        else:
            value += amount
        known.update(names)
    return value


PROBLEMS = sample_problems(3_000, seed=1)
HELD_OUT = sample_problems(600, seed=1, heldout=True)


def test_the_answer_is_what_the_sentences_say():
    for problem in PROBLEMS + HELD_OUT:
        assert solve(problem.question) == problem.answer, problem.question


def test_the_written_out_steps_are_true_and_end_in_the_answer():
    for problem in PROBLEMS:
        *steps, last = re.findall(r"[^.]+\.", problem.written_out)
        assert 2 <= len(steps) <= 5
        for step in steps:
            left, sign, right, value = (step.strip(" .").replace("= ", "")).split()
            rational = getattr(
                Fraction(left), {"+": "__add__", "-": "__sub__", "*": "__mul__", "/": "__truediv__"}[sign]
            )
            assert rational(Fraction(right)) == int(value)
            assert 1 <= int(value) <= LARGEST
        assert last == f" The answer is {problem.answer}." == f" {problem.direct}"
        assert read_answer(problem.written_out) == read_answer(problem.direct) == problem.answer


def test_every_kind_move_and_wording_occurs_and_steps_are_as_asked():
    assert len(KINDS) == 7
    assert {problem.kind for problem in PROBLEMS} == set(KINDS)
    assert {len(problem.steps) for problem in PROBLEMS} == {2, 3, 4, 5}
    asked_for = sample_problems(200, seed=4, kinds=["bus", "game"], steps=[3])
    assert {problem.kind for problem in asked_for} == {"bus", "game"}
    assert {len(problem.steps) for problem in asked_for} == {3}
    texts = " ".join(re.sub(r"\d+|[A-Z][a-z]+", "", problem.question) for problem in PROBLEMS)
    for kind in KINDS:
        for wordings in (*TOLD[kind].values(), ASKED[kind]):
            for wording in wordings:
                fixed = max(re.split(r"\{\w+\}|[A-Z][a-z]+|\d+", wording), key=len)
                assert fixed in texts, wording


def test_training_and_held_out_problems_share_no_calculation_whatever_the_seeds():
    def numbers(problems):
        return {tuple(map(str, problem.steps)) for problem in problems}

    many = sample_problems(4_000, seed=7, steps=[2])
    assert not numbers(PROBLEMS + many) & numbers(HELD_OUT + sample_problems(400, seed=8, heldout=True, steps=[2]))
    assert all(problem.is_held_out for problem in HELD_OUT)
    renamed = Problem("bus", "other words", HELD_OUT[0].steps)
    assert renamed.is_held_out


def test_about_a_tenth_is_held_out():
    rng = random.Random(3)
    problems = [Problem("bus", "", (Step(rng.randrange(10, 99), "+", rng.randrange(60)),)) for _ in range(4_000)]
    assert 0.07 < sum(problem.is_held_out for problem in problems) / 4_000 < 0.13


def test_the_same_seed_gives_the_same_problems():
    assert sample_problems(50, seed=5) == sample_problems(50, seed=5)
    assert sample_problems(50, seed=5) != sample_problems(50, seed=6)


def test_text_survives_the_vocabulary():
    words = vocabulary()
    assert len(words) < 300
    assert len(set(words.tokens)) == len(words)
    rng = random.Random(2)
    for style in ("direct", "steps", "trigger"):
        for count in (1, 3):
            text = sample_document(rng, style, count, instruction=True)
            ids = words.encode(text)
            assert words.decode(ids) == text
            assert 0 not in ids
            assert max(ids) < len(words)
    assert words.decode([0, *words.encode("12 + 5 = 17."), 0, 5]) == "12 + 5 = 17."
    assert words.encode(f"{END}1") == [0, words.encode("1")[0]]
    assert words.decode([]) == ""


def test_every_word_of_every_template_can_be_encoded():
    for problem in PROBLEMS:
        vocabulary().encode(problem.demonstrate("trigger"))
    for line in (TRIGGER, *INSTRUCTIONS):
        assert vocabulary().decode(vocabulary().encode(line)) == line


def test_a_prompt_is_its_demonstrations_and_an_open_answer():
    one, two = PROBLEMS[:2]
    shown = one.demonstrate("steps")
    prompt = ask(two.question, [shown], trigger=True, instruction=INSTRUCTIONS[0])
    assert prompt == f"{INSTRUCTIONS[0]}\n{shown}Q: {two.question}\nA: {TRIGGER}"
    assert ask(two.question) + f" {two.direct}\n" == two.demonstrate("direct")
    assert ask(two.question, trigger=True) + f" {two.written_out}\n" == two.demonstrate("trigger")
    assert sample_document(random.Random(4), "direct", 4).count("\nA: The answer is ") == 4


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2 * 3 = 6. The answer is 6.", 6),
        ("The answer is 14", None),
        ("", None),
        ("The answer is 1. The answer is 2.", 1),
    ],
)
def test_an_answer_is_the_number_behind_the_first_the_answer_is(text, answer):
    assert read_answer(text) == answer


def test_what_cannot_be_drawn_or_encoded_is_named():
    with pytest.raises(ValueError, match=r"no kind \['chess'\]: choose from \['things'"):
        sample_problems(1, seed=0, kinds=["chess", "bus"])
    with pytest.raises(ValueError, match="numbers above 0, got \\[0, 2\\]"):
        sample_problems(1, seed=0, steps=[0, 2])
    with pytest.raises(ValueError, match=r"no 'Zebra', 'flies': say it with its \d+ tokens"):
        vocabulary().encode("Q: Zebra flies.")
    with pytest.raises(ValueError, match=r"ids must lie in 0\.\.3, got \[4\]"):
        Vocabulary(["a", "b", "c"], r"\w").decode([1, 4])
