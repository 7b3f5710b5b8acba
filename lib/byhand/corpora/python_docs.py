"""Python's own documentation: the topics that `help()` shows, shipped with every CPython.

Holds the texts, their paragraphs, a fingerprint of the corpus and a ready-made split into training and
held-out text. Leaves out the splitting itself: that is exercise 1.8, and `byhand.splitting` has it.
Belongs to no chapter. The text changes a little between Python versions, so state facts about it as
orderings and ranges, and print `corpus_hash()` beside them.
"""

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

HELD_OUT_FILE = Path(__file__).parents[1] / "data" / "python-docs-heldout.json"


@functools.cache
def topics() -> Mapping[str, str]:
    """Every topic of the documentation, name to text, in alphabetical order.

    The topics repeat one another: `+=` is explained under `augassign`, and again where all simple
    statements are. A split by topic therefore leaks.

    Raises:
        RuntimeError: where this Python was packaged without its documentation.

    >>> "while" in topics()
    True
    """
    try:
        from pydoc_data.topics import topics as shipped
    except ImportError:
        raise RuntimeError(
            "this Python has no pydoc_data.topics: its packager left the documentation out; "
            "install the full standard library (or a Python from python.org)"
        ) from None
    return MappingProxyType({name: shipped[name] for name in sorted(shipped)})


def paragraphs(text: str) -> list[str]:
    r"""The paragraphs of a text: what stands between blank lines, indentation kept.

    >>> paragraphs("One.\n\n   two\n   lines\n\n\n")
    ['One.', '   two\n   lines']
    """
    parts = (part.strip("\n").rstrip() for part in re.split(r"\n[ \t]*\n", text))
    return [part for part in parts if part.strip()]


def corpus_hash() -> str:
    """Twelve hexadecimal digits of the SHA-256 of all topics: the same digits mean the same text.

    >>> len(corpus_hash())
    12
    """
    digest = hashlib.sha256()
    for name, text in topics().items():
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()[:12]


def fingerprint(paragraph: str) -> str:
    r"""Twelve hexadecimal digits that name a paragraph, whatever its spaces and line ends.

    >>> fingerprint("a  b\n") == fingerprint("a b")
    True
    """
    return hashlib.sha256(" ".join(paragraph.split()).encode()).hexdigest()[:12]


def ready_split() -> tuple[str, str]:
    """Training and held-out text, about nine to one, with no paragraph twice.

    Which paragraphs are held out is data (`data/python-docs-heldout.json`, made by `python -m
    byhand.splitting`), so everybody holds out the same ones. A paragraph that only another Python version
    has is training text.

    >>> train, heldout = ready_split()
    >>> 5 < len(train) / len(heldout) < 15
    True
    """
    held_out = set(json.loads(HELD_OUT_FILE.read_text(encoding="utf-8"))["fingerprints"])
    every = {fingerprint(part): part for text in topics().values() for part in paragraphs(text)}
    train = [part for name, part in every.items() if name not in held_out]
    heldout = [part for name, part in every.items() if name in held_out]
    return "\n\n".join(train), "\n\n".join(heldout)
