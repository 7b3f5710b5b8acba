"""Prompts: how a question, and examples of answers, become the text that a model continues.

Holds templates (question and answer, cloze, chain of thought) and the assembly of a prompt within a budget of
tokens. Leaves out chat roles, which the endpoint of `byhand.prompting.endpoint` adds, and the search for
demonstrations, which is `byhand.prompting.auto_cot`. Built in chapter 9.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from byhand.corpora import word_problems

TRIGGER = word_problems.TRIGGER
"""The words that make a model write its steps (Kojima et al. 2022, section 3)."""


@dataclass(frozen=True)
class Template:
    """How one question and its answer are written, and with the answer left open, how a question is asked.

    Attributes:
        text: holds `{question}` and, after it, `{answer}`; everything else is copied as it stands.
        separator: stands between the parts of a prompt, the same everywhere.

    Raises:
        ValueError: when `text` does not hold both, once and in this order.

    >>> Template("{question} All in all, I'm {answer}.").filled("The food is great!", "happy")
    "The food is great! All in all, I'm happy."
    """

    text: str
    separator: str = "\n\n"

    def __post_init__(self) -> None:
        asked, answered = self.text.find("{question}"), self.text.find("{answer}")
        if not 0 <= asked < answered or self.text.count("{question}") + self.text.count("{answer}") > 2:
            raise ValueError(f"a template needs {{question}} and then {{answer}}, once each; got {self.text!r}")

    def filled(self, question: str, answer: str) -> str:
        """The example with its answer: a demonstration."""
        before, between, after = self._parts()
        return f"{before}{question}{between}{answer}{after}"

    def open(self, question: str) -> str:
        """The question with the answer's place last and empty, for the model to go on.

        White space at the end is cut off, since most tokenizers put a space at the *start* of a word's token.
        """
        before, between, _ = self._parts()
        return f"{before}{question}{between}".rstrip()

    def _parts(self) -> tuple[str, str, str]:
        before, _, rest = self.text.partition("{question}")
        between, _, after = rest.partition("{answer}")
        return before, between, after


QUESTION_ANSWER = Template("Q: {question}\nA: {answer}")
CHAIN_OF_THOUGHT = Template(f"Q: {{question}}\nA: {TRIGGER} {{answer}}")
CLOZE = Template("{question} {answer}")


def zero_shot_prompt(query: str, instruction: str = "", persona: str = "", template: Template = QUESTION_ANSWER) -> str:
    r"""A prompt without demonstrations: who answers, what is asked for, the query, and an open answer.

    >>> zero_shot_prompt("What is 2 + 3?", instruction="Answer with a number.")
    'Answer with a number.\n\nQ: What is 2 + 3?\nA:'
    >>> zero_shot_prompt("What is 2 + 3?", template=CHAIN_OF_THOUGHT)
    "Q: What is 2 + 3?\nA: Let's think step by step."
    """
    return template.separator.join(filter(None, (persona, instruction, template.open(query))))


def few_shot_prompt(
    instruction: str,
    persona: str,
    demos: Sequence[tuple[str, str]],
    query: str,
    budget: int,
    count: Callable[[str], int],
    template: Template = QUESTION_ANSWER,
) -> str:
    r"""A prompt with as many of the last demonstrations as the budget allows, and an open answer at its end.

    Persona, instruction, demonstrations and query follow one another with one separator between; what is empty
    is left out. The query is written as the demonstrations are, so that the model continues a pattern. When
    the whole is too long the oldest demonstrations go first, whole ones only; the query is never cut.
    Brown et al. 2020, section 2.

    Args:
        instruction: what to do, such as "Answer with one word."; may be empty.
        persona: who answers, such as "You are a careful accountant."; may be empty.
        demos: pairs of question and answer, oldest first.
        query: the question to answer.
        budget: the most tokens that the prompt may have.
        count: from a text to its number of tokens.
        template: how a pair is written.

    Raises:
        ValueError: when the prompt is over the budget even without demonstrations.

    >>> demos = [("2 ~ 3", "5"), ("6 ~ 7", "13")]
    >>> few_shot_prompt("", "", demos, "15 ~ 2", budget=11, count=lambda text: len(text.split()))
    'Q: 6 ~ 7\nA: 13\n\nQ: 15 ~ 2\nA:'
    """
    written = [template.filled(question, answer) for question, answer in demos]
    for oldest in range(len(written) + 1):
        parts = (persona, instruction, *written[oldest:], template.open(query))
        prompt = template.separator.join(filter(None, parts))
        if count(prompt) <= budget:
            return prompt
    raise ValueError(
        f"without any demonstration the prompt has {count(prompt)} tokens, the budget is {budget}: "
        "raise the budget or shorten the instruction; the query is never cut"
    )
