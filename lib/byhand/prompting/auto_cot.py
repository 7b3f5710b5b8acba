"""Auto-CoT: demonstrations with written-out steps, made by the model itself, one for each kind of question.

Holds both algorithms of Zhang et al. 2023 ("Automatic chain of thought prompting in large language models"), and
zero-shot chain of thought, which writes the steps. Leaves out choosing demonstrations for each test question.
Built in chapter 9.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from byhand.prompting.answers import parse_answer
from byhand.prompting.clustering import cluster
from byhand.prompting.models import LanguageModel
from byhand.prompting.templates import CHAIN_OF_THOUGHT, Template, few_shot_prompt

LONGEST_QUESTION = 60
"""A question of a demonstration has no more tokens."""
MOST_STEPS = 5
"""A rationale of a demonstration has no more steps."""

ANSWER = "The answer is"
"""The words between a rationale and its answer."""

Solve = Callable[[str], tuple[str, str | None]]
"""From a question to a rationale and an answer; None where the model gave none."""


@dataclass(frozen=True)
class Demo:
    """One demonstration.

    Attributes:
        question: the question.
        rationale: the steps, as the model wrote them.
        answer: what stands after the steps.
        cluster: the number of the cluster it stands for.
    """

    question: str
    rationale: str
    answer: str
    cluster: int

    @property
    def pair(self) -> tuple[str, str]:
        """Question and answer with its steps, as `few_shot_prompt` takes them."""
        return self.question, f"{self.rationale} {self.answer}"

    @property
    def text(self) -> str:
        r"""The demonstration written out.

        >>> Demo("Ann has 2 and finds 3. How many?", "2 + 3 = 5.", "The answer is 5.", 0).text
        "Q: Ann has 2 and finds 3. How many?\nA: Let's think step by step. 2 + 3 = 5. The answer is 5."
        """
        return CHAIN_OF_THOUGHT.filled(*self.pair)


def count_steps(rationale: str) -> int:
    r"""How many steps a rationale has: one a line, and where all stands on one line, one a sentence.

    >>> count_steps("First this.\n\nThen that. And so on."), count_steps("2 + 2.5 = 4.5. 4.5 * 2 = 9.")
    (2, 2)
    """
    lines = [line for line in rationale.splitlines() if line.strip()]
    return len(lines) if len(lines) > 1 else len(re.split(r"(?<=[.!?])\s+", rationale.strip())) if lines else 0


def sort_by_cluster(
    questions: Sequence[str], embed: Callable[[list[str]], Float[Tensor, "n d"]], k: int, rng: torch.Generator
) -> list[list[str]]:
    """Algorithm 1: the questions in k clusters, each sorted from the nearest to its centre outwards.

    Args:
        questions: any number, at least k.
        embed: sentence embeddings of many texts at once (Sentence-BERT in the paper).
        k: number of clusters, which is the number of demonstrations.
        rng: of the k-means seeding.

    Returns:
        k lists; one is empty only where fewer than k different questions were given.

    Raises:
        ValueError: when k is not between 1 and the number of questions.
    """
    if not 1 <= k <= len(questions):
        raise ValueError(f"k must lie between 1 and the number of questions, {len(questions)}; got {k}")
    vectors = embed(list(questions))
    found = cluster(vectors, k, rng)
    distances = (vectors - found.centroids[found.assign]).norm(dim=1)
    order = distances.argsort(stable=True).tolist()
    clusters: list[list[str]] = [[] for _ in range(k)]
    for index in order:
        clusters[int(found.assign[index])].append(questions[index])
    return clusters


def construct_demos(
    clusters: Sequence[Sequence[str]],
    solve: Solve,
    n_tokens: Callable[[str], int],
    *,
    max_tokens: int = LONGEST_QUESTION,
    max_steps: int = MOST_STEPS,
) -> list[Demo]:
    """Algorithm 2: from each cluster the first question that, with its rationale, is short enough.

    A question with more than `max_tokens` tokens, a rationale with more than `max_steps` steps, or no answer:
    the next question of the cluster is tried. The search of a cluster ends *when one is accepted*; the loop
    in the paper's pseudo-code reads as if it ended after the first question, accepted or not, which would
    leave clusters without a demonstration. A cluster in which none is accepted has no demonstration.

    Args:
        clusters: questions, in the order in which to try them.
        solve: writes rationale and answer, as `zero_shot_cot` does; not asked about questions that are too long.
        n_tokens: counts the tokens of a question.
        max_tokens: of a question.
        max_steps: of a rationale, as `count_steps` counts.
    """
    demos = []
    for number, questions in enumerate(clusters):
        for question in questions:
            if n_tokens(question) > max_tokens:
                continue
            rationale, answer = solve(question)
            if answer is not None and count_steps(rationale) <= max_steps:
                demos.append(Demo(question, rationale, answer, number))
                break
    return demos


def auto_cot(
    questions: Sequence[str],
    embed: Callable[[list[str]], Float[Tensor, "n d"]],
    k: int,
    solve: Solve,
    n_tokens: Callable[[str], int],
    rng: torch.Generator,
) -> list[Demo]:
    """Demonstrations for chain-of-thought prompting, made without a human: one for each of k clusters of questions.

    Algorithm 1 (`sort_by_cluster`), then Algorithm 2 (`construct_demos`) of Zhang et al. 2023, with their limits
    of 60 tokens for a question and 5 steps for a rationale. Clusters make the demonstrations different in kind,
    so that one wrong rationale misleads less.

    Raises:
        ValueError: when k is not between 1 and the number of questions.

    >>> embed = lambda texts: torch.tensor([[float(len(text))] for text in texts])
    >>> solve = lambda question: ("It has letters.", f"The answer is {len(question)}.")
    >>> demos = auto_cot(["a?", "b?", "long one?"], embed, 2, solve, len, torch.Generator().manual_seed(0))
    >>> sorted(demo.question for demo in demos)
    ['a?', 'long one?']
    """
    return construct_demos(sort_by_cluster(questions, embed, k, rng), solve, n_tokens)


def zero_shot_cot(
    model: LanguageModel,
    question: str,
    *,
    template: Template = CHAIN_OF_THOUGHT,
    max_tokens: int = 256,
    stop: Sequence[str] = ("\nQ:",),
) -> tuple[str, str | None]:
    """Rationale and answer of one question, by the trigger alone: what Auto-CoT's `solve` is made of.

    The model goes on after "Let's think step by step." Where it does not say "The answer is" by itself, it is
    asked a second time with these words added (Kojima et al. 2022, section 3.1). The answer comes back as
    "The answer is 5.", or as None when no number follows.

    >>> from byhand.prompting.models import ScriptedModel
    >>> zero_shot_cot(ScriptedModel(["2 + 3 = 5. The answer is 5."]), "Ann has 2 and finds 3. How many?")
    ('2 + 3 = 5.', 'The answer is 5.')
    """
    opened = template.open(question)
    written = model.complete(opened, max_tokens=max_tokens, stop=stop)
    rationale, said, rest = written.partition(ANSWER)
    rationale = rationale.strip()
    if not said:
        rest = model.complete(f"{opened} {rationale} {ANSWER}", max_tokens=max_tokens, stop=stop)
    sentence = re.split(r"\.?\s*\n|\.\s|$", rest.strip(), maxsplit=1)[0]
    answer = parse_answer(sentence)
    return rationale, None if answer is None else f"{ANSWER} {answer}."


def auto_cot_prompt(
    demos: Sequence[Demo],
    query: str,
    budget: int,
    count: Callable[[str], int],
    *,
    instruction: str = "",
    persona: str = "",
    template: Template = CHAIN_OF_THOUGHT,
) -> str:
    """The prompt that asks a new question after Auto-CoT's demonstrations; see `few_shot_prompt`."""
    return few_shot_prompt(instruction, persona, [demo.pair for demo in demos], query, budget, count, template)
