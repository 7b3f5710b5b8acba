"""From what a model wrote to an answer: reading the number out of it, and letting several samples vote.

Holds answer extraction, the majority vote of self-consistency, and the sampling loop with agreement as
confidence. Leaves out weighting votes by probability, which the authors found no better. Built in chapter 9.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from byhand.prompting.models import BatchModel, LanguageModel

# A minus is a sign only where it is no subtraction ("10-3"), a comma stands only before three digits ("1,2" is a list).
_NUMBER = re.compile(r"(?<!\w)(?<!\w\.)-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+|(?=\.\d))(?:\.\d+)?")


def parse_answer(text: str) -> str | None:
    """The last number in a text in one spelling, or None where there is none.

    Commas between thousands, a plus sign and zeros that say nothing go; the sign stays. It is the last number,
    because a chain of thought names others on its way.

    >>> parse_answer("5 boxes at -247 each. Answer: -1,234.50.")
    '-1234.5'
    >>> parse_answer("I do not know.") is None
    True
    """
    found = _NUMBER.findall(text.replace("−", "-"))
    if not found:
        return None
    last = found[-1].replace(",", "")
    whole, _, fraction = last.lstrip("-").partition(".")
    number = (whole.lstrip("0") or "0") + ("." + fraction).rstrip("0").rstrip(".")
    return f"-{number}" if last.startswith("-") and number != "0" else number


def self_consistency(answers: Sequence[str | None]) -> str | None:
    """The answer given most often; of several, the one that came first; None when nobody answered.

    White space around an answer does not make it another one, and None (no answer found) has no vote.
    Wang et al. 2023, section 2.

    >>> self_consistency(["12", None, "7 ", None, None, "7"])
    '7'
    """
    votes = Counter(answer.strip() for answer in answers if answer is not None)
    return max(votes, key=votes.__getitem__) if votes else None


@dataclass(frozen=True)
class Vote:
    """What several samples said.

    Attributes:
        answer: the majority's, or None when no sample held one.
        agreement: the share of all samples that gave this answer, 0 to 1: a confidence.
        answers: of each sample, in order.
    """

    answer: str | None
    agreement: float
    answers: tuple[str | None, ...]


def sample_and_vote(
    model: LanguageModel,
    prompt: str,
    samples: int,
    *,
    temperature: float = 0.7,
    max_tokens: int = 256,
    stop: Sequence[str] = (),
    seed: int = 0,
    parse: Callable[[str], str | None] = parse_answer,
) -> Vote:
    """Self-consistency: sample several completions of one prompt and take the majority's answer.

    Sample number i has the seed `seed` + i. A model with a method `sample`, as `CheckpointModel` has, draws
    them in one batch.

    Raises:
        ValueError: when `samples` is below 1, or the temperature is 0, which would sample the same text again.

    >>> from byhand.prompting.models import ScriptedModel
    >>> vote = sample_and_vote(ScriptedModel(["so 4", "it is 5", "5."]), "What is 2 + 3?", samples=3)
    >>> vote.answer, round(vote.agreement, 2)
    ('5', 0.67)
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    if samples > 1 and not temperature > 0:
        raise ValueError(f"temperature must be above 0 to sample {samples} different texts, got {temperature}")
    if isinstance(model, BatchModel):
        texts = model.sample(prompt, samples, max_tokens=max_tokens, temperature=temperature, stop=stop, seed=seed)
    else:
        texts = [
            model.complete(prompt, max_tokens=max_tokens, temperature=temperature, stop=stop, seed=seed + number)
            for number in range(samples)
        ]
    answers = tuple(parse(text) for text in texts)
    answer = self_consistency(answers)
    agreeing = sum(given is not None and given.strip() == answer for given in answers)
    return Vote(answer, agreeing / samples, answers)
