"""Answering from retrieved passages: the prompt that carries them, an answer that cites them, or none at all.

Holds the prompt within a budget, the extractive answer that may abstain, and the two steps together: retrieve, then
generate. Leaves out rewriting the question and retrieving again. Built in chapter 10.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from byhand.prompting.models import LanguageModel
from byhand.retrieval.chunking import split_sentences

INSTRUCTION = (
    "Answer from the passages and cite their numbers in brackets. Say so when they do not answer the question."
)


def rag_prompt(
    question: str, passages: Sequence[str], budget: int, count: Callable[[str], int]
) -> tuple[str, list[int]]:
    r"""The prompt for a question with as many passages as the budget allows, best first, and which ones it holds.

    The passages are numbered [1], [2] ... as they stand in the prompt. One that repeats another, but for white
    space, is left out; so is one that does not fit, and a shorter one after it may still. The question is never
    cut. Lewis et al. 2020.

    Args:
        question: what to answer.
        passages: texts, the most relevant first.
        budget: the most tokens that the prompt may have.
        count: from a text to its number of tokens.

    Returns:
        The prompt, and the numbers (from 0) of the passages in it: `[1]` is the first of them.

    Raises:
        ValueError: when the prompt is over the budget even without passages.

    >>> words = lambda text: len(text.split())
    >>> prompt, used = rag_prompt("Who?", ["It was Ann.", "It  was Ann.", "Bo left."], 99, words)
    >>> used
    [0, 2]
    >>> print(prompt.split("\n\n", 1)[1])
    [1] It was Ann.
    [2] Bo left.
    <BLANKLINE>
    Question: Who?
    Answer:
    """

    def assemble(kept: list[int]) -> str:
        listed = "\n".join(f"[{number}] {' '.join(passages[index].split())}" for number, index in enumerate(kept, 1))
        return "\n\n".join(filter(None, (INSTRUCTION, listed, f"Question: {question}\nAnswer:")))

    used: list[int] = []
    prompt = assemble(used)
    if count(prompt) > budget:
        raise ValueError(
            f"without any passage the prompt has {count(prompt)} tokens, the budget is {budget}: raise the budget; "
            "the question is never cut"
        )
    seen = set()
    for index, passage in enumerate(passages):
        text = " ".join(passage.split())
        if not text or text in seen:
            continue
        longer = assemble([*used, index])
        if count(longer) <= budget:
            used.append(index)
            seen.add(text)
            prompt = longer
    return prompt, used


def answer_or_abstain(
    question: str, passages: Sequence[str], score: Callable[[str, str], float], threshold: float
) -> str | None:
    """The sentence of the passages that answers best, or None when none scores at least `threshold`.

    Better no answer than a wrong one: the threshold sets how often which happens. Of equals the first wins.

    Args:
        question: what to answer.
        passages: texts to take a sentence from.
        score: of a question and a sentence; more is better.
        threshold: the least score of an answer.

    >>> shared = lambda question, sentence: len(set(question.split()) & set(sentence.split()))
    >>> answer_or_abstain("Who ate it ?", ["It rained. Bo ate it .", "So what ?"], shared, threshold=2)
    'Bo ate it .'
    >>> answer_or_abstain("Where is Rome ?", ["It rained.", "Bo ate it."], shared, threshold=2) is None
    True
    """
    sentences = [sentence for passage in passages for sentence in split_sentences(passage)]
    scores = [score(question, sentence) for sentence in sentences]
    best = max(range(len(scores)), key=scores.__getitem__, default=None)
    return sentences[best] if best is not None and scores[best] >= threshold else None


@dataclass(frozen=True)
class GroundedAnswer:
    """What retrieval-augmented generation gives.

    Attributes:
        text: the model's answer; None when nothing relevant enough was found and the model was not asked.
        cited: the ids of the passages that the answer cites, in the order of citation.
        used: the ids of the passages in the prompt; [1] is the first.
        prompt: what the model read; empty when it was not asked.
    """

    text: str | None
    cited: list[str]
    used: list[str]
    prompt: str


def answer_from_passages(
    model: LanguageModel,
    question: str,
    search: Callable[[str, int], list[tuple[str, float]]],
    passages: Mapping[str, str],
    *,
    k: int = 5,
    threshold: float = 0.0,
    budget: int = 1024,
    count: Callable[[str], int] = lambda text: len(text.split()),
    max_tokens: int = 256,
) -> GroundedAnswer:
    """Retrieve k passages, put them before the question, and let a model answer with citations.

    Args:
        model: who answers.
        question: what is asked.
        search: from the question and k to (id, score), best first, such as `PassageIndex.search`.
        passages: id to text.
        k: how many passages to retrieve.
        threshold: without a passage of at least this score the model is not asked.
        budget: tokens of the prompt.
        count: tokens of a text; words by default.
        max_tokens: of the answer.

    >>> from byhand.prompting import ScriptedModel
    >>> found = lambda question, k: [("list.sort", 0.9)]
    >>> texts = {"list.sort": "Sort the list in place.", "dict.get": "Return the value for key."}
    >>> answer = answer_from_passages(ScriptedModel(["It sorts in place [1]."]), "What does sort do?", found, texts)
    >>> answer.text, answer.cited
    ('It sorts in place [1].', ['list.sort'])
    """
    names = [name for name, score in search(question, k) if score >= threshold]
    if not names:
        return GroundedAnswer(None, [], [], "")
    prompt, places = rag_prompt(question, [passages[name] for name in names], budget, count)
    used = [names[place] for place in places]
    text = model.complete(prompt, max_tokens=max_tokens, stop=["\nQuestion:"]).strip()
    numbers = dict.fromkeys(int(number) for number in re.findall(r"\[(\d+)\]", text))
    cited = [used[number - 1] for number in numbers if 1 <= number <= len(used)]
    return GroundedAnswer(text, cited, used, prompt)
