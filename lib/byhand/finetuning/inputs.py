"""A task's parts as one sequence for a decoder, whose last token the classifier reads.

Radford et al. 2018, section 3.3 and figure 1. Leaves out generation. Built in chapter 6.
"""

from collections.abc import Mapping, Sequence

NAMES = ("start", "delimiter", "extract")


def format_nli(premise: Sequence[int], hypothesis: Sequence[int], ids: Mapping[str, int]) -> tuple[list[int], int]:
    """Premise and hypothesis as [start] premise [delimiter] hypothesis [extract], and the place of the last.

    Args:
        premise: tokens of the first sentence.
        hypothesis: tokens of the second.
        ids: the ids of the tokens `start`, `delimiter` and `extract`.

    Raises:
        ValueError: when an id is missing, two are the same, or one stands in a sentence.

    >>> format_nli([7, 8], [9], {"start": 0, "delimiter": 1, "extract": 2})
    ([0, 7, 8, 1, 9, 2], 5)
    """
    if missing := [name for name in NAMES if name not in ids]:
        raise ValueError(f"ids lacks {', '.join(missing)}")
    special = [ids[name] for name in NAMES]
    if len(set(special)) < len(special):
        raise ValueError(f"start, delimiter and extract must be three tokens, got {special}")
    if inside := set(special) & {*premise, *hypothesis}:
        raise ValueError(f"a sentence holds the special token {min(inside)}: it would end the sentence there")
    tokens = [special[0], *premise, special[1], *hypothesis, special[2]]
    return tokens, len(tokens) - 1


def format_similarity(
    first: Sequence[int], second: Sequence[int], ids: Mapping[str, int]
) -> list[tuple[list[int], int]]:
    """Two sentences in both orders, since neither comes first: the vectors at both last places are added.

    Raises:
        ValueError: as `format_nli`.
    """
    return [format_nli(first, second, ids), format_nli(second, first, ids)]


def format_choices(
    context: Sequence[int], answers: Sequence[Sequence[int]], ids: Mapping[str, int]
) -> list[tuple[list[int], int]]:
    """A context with each of several answers: each gets a score at its last place, and they compete by a softmax.

    Raises:
        ValueError: when there are fewer than two answers; else as `format_nli`.
    """
    if len(answers) < 2:
        raise ValueError(f"a choice needs at least 2 answers, got {len(answers)}")
    return [format_nli(context, answer, ids) for answer in answers]
