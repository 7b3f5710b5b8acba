"""How a grammar that remembers is written: one symbol a line, weighted alternatives, slots in braces.

Holds the notation and its reader; what a grammar does is in `byhand.corpora.grammar`. Belongs to no chapter.
"""

import functools
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One alternative of a symbol: how often it is taken, and what it is replaced by.

    Attributes:
        weight: relative to the symbol's other alternatives; a whole number, so that probabilities are exact.
        parts: `word` (a token), `<SYMBOL>` (expand), `<SYMBOL=slot>` (expand and remember), `{slot}` or
            `{slot.1}` (repeat the remembered token, or its companion number 1: its pronoun, say).
        companions: tokens remembered together with this alternative's own token.
    """

    weight: int
    parts: tuple[str, ...]
    companions: tuple[str, ...] = ()


def read_rules(source: str) -> dict[str, tuple[Rule, ...]]:
    """Rules from text: `SYMBOL: 3 alternative | 1 other / its companions`, the start symbol first.

    A line that begins with a space goes on with the line before it.

    >>> read_rules("S: 1 a <B> | 3 b\\nB: 1 mia / she her")["B"]
    (Rule(weight=1, parts=('mia',), companions=('she', 'her')),)
    """
    rules = {}
    for line in filter(str.strip, source.replace("\n ", " ").splitlines()):
        symbol, _, right = line.partition(":")
        alternatives = []
        for alternative in right.split("|"):
            body, _, companions = alternative.partition("/")
            weight, *parts = body.split()
            alternatives.append(Rule(int(weight), tuple(parts), tuple(companions.split())))
        rules[symbol.strip()] = tuple(alternatives)
    return rules


@functools.cache
def symbol_and_slot(part: str) -> tuple[str, str]:
    """`<NAME=hero>` gives NAME and hero; `<NAME>` gives NAME and nothing."""
    symbol, _, slot = part.strip("<>").partition("=")
    return symbol, slot


@functools.cache
def slot_and_number(token: str) -> tuple[str, int]:
    """`{hero.2}` gives hero and 2; `{hero}` gives hero and 0."""
    slot, _, number = token.strip("{}").partition(".")
    return slot, int(number or 0)
