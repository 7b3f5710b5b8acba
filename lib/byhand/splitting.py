"""Splitting a corpus so that the held-out part is not in the training part.

Holds the removal of repeated paragraphs, the split, and the measure of what leaks. Leaves out fuzzy
matching (MinHash), which finds near copies in corpora too large for an exact index. Built in chapter 1.
"""

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from byhand.corpora.python_docs import HELD_OUT_FILE, corpus_hash, fingerprint, paragraphs, topics


def unique_paragraphs(docs: Mapping[str, str]) -> list[str]:
    r"""The paragraphs of all documents, each text once, in the order of first sight.

    Two paragraphs are the same when they differ in white space only. Repeats are looked for across
    documents, since that is where a leak is.

    >>> unique_paragraphs({"a": "One.\n\nTwo.", "b": "Two.\n\nThree."})
    ['One.', 'Two.', 'Three.']
    """
    seen: dict[str, str] = {}
    for text in docs.values():
        for paragraph in paragraphs(text):
            seen.setdefault(" ".join(paragraph.split()), paragraph)
    return list(seen.values())


def word_ngrams(text: str, w: int) -> Iterator[tuple[str, ...]]:
    """Every run of `w` words.

    >>> list(word_ngrams("to be or not", 3))
    [('to', 'be', 'or'), ('be', 'or', 'not')]
    """
    words = text.split()
    return (tuple(words[start : start + w]) for start in range(len(words) - w + 1))


def overlap(train: Iterable[str], heldout: Iterable[str], w: int = 13) -> float:
    """The share of the held-out part's runs of `w` words that the training part holds too, 0 to 1.

    Thirteen words is the window with which GPT-3's authors looked for test sets in their training text
    (Brown et al. 2020, appendix C). A held-out part too short for one run has overlap 0.

    >>> overlap(["the cat sat on the mat"], ["a cat sat on the rug"], w=3)
    0.5
    """
    known = {gram for text in train for gram in word_ngrams(text, w)}
    found = [gram in known for text in heldout for gram in word_ngrams(text, w)]
    return sum(found) / len(found) if found else 0.0


def split_without_leak(docs: Mapping[str, str], frac: float, seed: int, w: int = 13) -> tuple[list[str], list[str]]:
    """Split documents by paragraph into a training and a held-out part, as lists of paragraphs.

    Repeated paragraphs are removed first. Paragraphs that share a run of `w` words then form one group,
    and a group goes to one side as a whole, so no held-out run of `w` words is training text. Nothing but
    repeats is lost, both sides keep the order of the documents, and the same seed gives the same split.

    Args:
        docs: document name to text.
        frac: the share of the characters to hold out, between 0 and 1; met as closely as whole groups allow.
        seed: of the draw.
        w: words that count as a copy.

    Raises:
        ValueError: when `frac` is not between 0 and 1, or `w` is below 1.

    >>> docs = {"a": "One one.\\n\\nTwo two.", "b": "Two two.\\n\\nThree three."}
    >>> train, heldout = split_without_leak(docs, frac=0.3, seed=1)
    >>> sorted(train + heldout)
    ['One one.', 'Three three.', 'Two two.']
    """
    if not 0 < frac < 1:
        raise ValueError(f"frac must lie between 0 and 1, got {frac}: it is the share to hold out")
    if w < 1:
        raise ValueError(f"w must be at least 1, got {w}: it is a number of words")
    parts = unique_paragraphs(docs)
    groups = _groups_sharing_ngrams(parts, w)
    random.Random(seed).shuffle(groups)
    wanted = frac * sum(map(len, parts))
    held_out: set[int] = set()
    size = 0
    for group in groups:
        grown = size + sum(len(parts[index]) for index in group)
        if abs(grown - wanted) < abs(size - wanted):
            held_out.update(group)
            size = grown
    train = [part for index, part in enumerate(parts) if index not in held_out]
    return train, [parts[index] for index in sorted(held_out)]


def _groups_sharing_ngrams(parts: list[str], w: int) -> list[list[int]]:
    """Indices of the parts, grouped by the runs of `w` words they share (union-find)."""
    leader = list(range(len(parts)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    owner: dict[tuple[str, ...], int] = {}
    for index, part in enumerate(parts):
        for gram in word_ngrams(part, w):
            leader[find(index)] = find(owner.setdefault(gram, index))
    groups: dict[int, list[int]] = {}
    for index in range(len(parts)):
        groups.setdefault(find(index), []).append(index)
    return list(groups.values())


def write_ready_split(path: Path = HELD_OUT_FILE, frac: float = 0.1, seed: int = 1) -> dict[str, object]:
    """Make the list behind `python_docs.ready_split` and write it to `path`."""
    _, heldout = split_without_leak(topics(), frac, seed)
    listed = {
        "made_by": "python -m byhand.splitting",
        "corpus_hash": corpus_hash(),
        "frac": frac,
        "seed": seed,
        "fingerprints": [fingerprint(part) for part in heldout],
    }
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)
    return listed


if __name__ == "__main__":
    write_ready_split()
