"""A model that writes its own instructions: new ones are kept when they differ enough from those there are.

Leaves out the answers to the instructions, which a model writes by `complete`. Built in chapter 11.
"""

import random
import re
from collections.abc import Sequence

from byhand.prompting.models import LanguageModel

UNFIT = ("image", "images", "picture", "pictures", "graph", "graphs", "draw", "plot", "video", "audio", "file", "map")
"""Words of instructions that a model of text cannot follow (Wang et al. 2023, appendix A)."""


def rouge_l(a: Sequence[object], b: Sequence[object]) -> float:
    """How alike two sequences are: the F1 of the length of their longest common subsequence (Lin 2004, section 3).

    A subsequence keeps the order and may leave gaps. 0 when either is empty; the order of the arguments does not
    matter.

    >>> rouge_l("the cat sat".split(), "the black cat sat".split()) == 2 * 3 / (3 + 4)
    True
    """
    lengths = [0] * (len(b) + 1)  # of the longest common subsequence with each beginning of b
    for one in a:
        diagonal = 0
        for place, other in enumerate(b):
            above = lengths[place + 1]
            lengths[place + 1] = diagonal + 1 if one == other else max(above, lengths[place])
            diagonal = above
    return 2 * lengths[-1] / (len(a) + len(b)) if a and b else 0.0


def self_instruct_filter(
    pool: Sequence[str], candidates: Sequence[str], threshold: float = 0.7, unfit: Sequence[str] = UNFIT
) -> list[str]:
    """The candidates, in their order, that are new: unlike the pool's and unlike those accepted before them.

    Compared by ROUGE-L over words, whatever their case; at `threshold` or above a candidate is too much like
    another. One that holds a word of `unfit` is left out, as is an empty one. Wang et al. 2023, section 2.2.

    Raises:
        ValueError: when the threshold is outside [0, 1].

    >>> self_instruct_filter(["Sort the list."], ["Sort the list!", "Name a river.", "Draw a river."])
    ['Name a river.']
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be within [0, 1], got {threshold}")
    known = [_words(text) for text in pool]
    banned = {word.lower() for word in unfit}
    accepted = []
    for candidate in candidates:
        words = _words(candidate)
        if words and not banned & set(words) and all(rouge_l(words, other) < threshold for other in known):
            accepted.append(candidate)
            known.append(words)
    return accepted


def grow_pool(
    model: LanguageModel,
    pool: Sequence[str],
    rounds: int,
    rng: random.Random,
    shown: int = 8,
    threshold: float = 0.7,
    temperature: float = 0.7,
) -> list[str]:
    """Let a model add instructions to a pool: each round it reads some and goes on with the list.

    Of the instructions shown up to a quarter are the model's own, once there are some (Wang et al. 2023, section 2.2).
    Returns the pool and what was added, which is not more than the model wrote and may be nothing.

    Raises:
        ValueError: when the pool is empty.
    """
    if not pool:
        raise ValueError("the pool is empty: give a few instructions to start from")
    written: list[str] = []
    for _ in range(rounds):
        own = rng.sample(written, min(len(written), shown // 4))
        given = rng.sample(list(pool), min(len(pool), shown - len(own)))
        numbered = [f"{number}. {text}" for number, text in enumerate([*given, *own], start=1)]
        prompt = "Instructions for a language model:\n" + "\n".join(numbered) + f"\n{len(numbered) + 1}."
        reply = model.complete(prompt, max_tokens=256, temperature=temperature, seed=rng.randrange(2**31))
        parts = re.split(r"^\s*\d+\s*[.)]\s*", reply, flags=re.MULTILINE)
        lines = [part.strip().splitlines()[0].strip() for part in parts if part.strip()]
        written += self_instruct_filter([*pool, *written], lines, threshold)
    return [*pool, *written]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
