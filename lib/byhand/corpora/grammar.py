"""Probabilistic grammars that remember: text whose entropy and next-token probabilities are known exactly.

Holds rules with weights, slots that a later token repeats (a name, a colour, the pronoun that goes with a
name), a sampler, the exact probability of every token, and the exact entropy. Leaves out ambiguous grammars:
two alternatives of a symbol may never begin with the same token, so a text has one derivation, the entropy
of texts is the entropy of the choices, and reading from left to right needs no search. Belongs to no chapter.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from byhand.corpora.notation import Rule, slot_and_number, symbol_and_slot

END = "<end>"
Memory = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Step:
    """One way to produce the next token: its probability, the token, what then stands before the rest, and
    what is remembered from here on."""

    p: Fraction
    token: str
    pushed: tuple[str, ...]
    remembered: Memory


class Grammar:
    """A probabilistic grammar, checked to be unambiguous when it is made.

    Raises:
        ValueError: when two alternatives of a symbol can begin with the same token, an alternative is empty,
            a symbol is missing or leads to itself, or a remembered alternative is more than one token.

    >>> from byhand.corpora.notation import read_rules
    >>> coin = Grammar(read_rules("S: 1 heads <S> | 1 tails"))
    >>> math.isclose(coin.logprob(["heads", "tails"]), math.log(1 / 4))
    True
    >>> round(coin.entropy() / math.log(2), 12), coin.expected_tokens()
    (2.0, Fraction(3, 1))
    """

    def __init__(self, rules: Mapping[str, Sequence[Rule]]) -> None:
        self.rules = {symbol: tuple(alternatives) for symbol, alternatives in rules.items()}
        self.start = f"<{next(iter(self.rules))}>"
        self._steps: dict[str, tuple[Step, ...]] = {}
        parts = {part for alternatives in self.rules.values() for rule in alternatives for part in rule.parts}
        for part in sorted({self.start, *parts}):
            self._steps[part] = tuple(self._expand(part, ()))
        for part, steps in self._steps.items():
            self._refuse_ambiguity(part, steps)

    @property
    def vocabulary(self) -> list[str]:
        """Every token that can occur: the end token first, the others in alphabetical order."""
        rules = [rule for alternatives in self.rules.values() for rule in alternatives]
        tokens = {token for rule in rules for token in (*rule.parts, *rule.companions) if token[0] not in "<{"}
        return [END, *sorted(tokens)]

    def sample(self, rng: random.Random) -> list[str]:
        """Draw one text, token by token; the end token is not in it."""
        tokens: list[str] = []
        state = self._begin()
        while state.stack:
            steps = self._steps[state.stack[-1]]
            step = steps[0] if len(steps) == 1 else rng.choices(steps, [float(step.p) for step in steps])[0]
            tokens.append(state.take(step))
        return tokens

    def log_probs(self, tokens: Sequence[str]) -> list[float]:
        """The exact log-probability of each token given those before it, and last that of the end.

        In nats; one number more than there are tokens, because the end is predicted too. From the first
        token that the grammar cannot produce on, every number is minus infinity.
        """
        found: list[float] = []
        state = self._begin()
        for token in [*tokens, END]:
            step = self._choices(state).get(token)
            if step is None:
                return found + [-math.inf] * (len(tokens) + 1 - len(found))
            found.append(math.log(step.p))
            state.take(step)
        return found

    def logprob(self, tokens: Sequence[str]) -> float:
        """The exact log-probability of a whole text, in nats; minus infinity where it cannot be produced."""
        return math.fsum(self.log_probs(tokens))

    def next_token_probs(self, prefix: Sequence[str]) -> dict[str, Fraction]:
        """The exact distribution of the token after `prefix`; the end is the token `<end>`.

        Raises:
            ValueError: when the grammar cannot produce the prefix.

        >>> from byhand.corpora.notation import read_rules
        >>> Grammar(read_rules("S: 1 a <B> | 3 b\\nB: 1 c | 4 d")).next_token_probs(["a"])
        {'c': Fraction(1, 5), 'd': Fraction(4, 5)}
        """
        state = self._begin()
        for place, token in enumerate(prefix):
            choices = self._choices(state)
            if token not in choices or token == END:
                raise ValueError(f"token {place}, {token!r}, cannot stand there; one of {sorted(choices)} can")
            state.take(choices[token])
        return {token: step.p for token, step in self._choices(state).items()}

    def entropy(self) -> float:
        """The exact entropy of a text, in nats.

        A text has one derivation, so its entropy is that of the choices made: over all symbols, how often
        one is expanded on average times the entropy of its alternatives (the chain rule of entropy).
        """
        return math.fsum(
            float(times) * -math.fsum(float(p) * math.log(p) for _, p in self._alternatives(symbol))
            for symbol, times in self._expected_expansions().items()
        )

    def expected_tokens(self) -> Fraction:
        """The mean number of tokens of a text, the end token included."""
        return Fraction(1) + sum(
            times * p * sum(not part.startswith("<") for part in rule.parts)
            for symbol, times in self._expected_expansions().items()
            for rule, p in self._alternatives(symbol)
        )

    def entropy_per_token(self) -> float:
        """The entropy of a stream of texts, each closed by the end token, in nats per token.

        No model can have a lower cross-entropy on such a stream; exp of it is the lowest perplexity.
        """
        return self.entropy() / float(self.expected_tokens())

    def _alternatives(self, symbol: str) -> list[tuple[Rule, Fraction]]:
        total = sum(rule.weight for rule in self.rules[symbol])
        return [(rule, Fraction(rule.weight, total)) for rule in self.rules[symbol]]

    def _expected_expansions(self) -> dict[str, Fraction]:
        """How often each symbol is expanded in a text, on average: x = start + M x, solved in fractions."""
        names = list(self.rules)
        place = {name: row for row, name in enumerate(names)}
        first = symbol_and_slot(self.start)[0]
        rows = [[Fraction(row == column) for column in range(len(names))] for row in range(len(names))]
        for symbol in names:
            for rule, p in self._alternatives(symbol):
                for part in rule.parts:
                    if part.startswith("<"):
                        rows[place[symbol_and_slot(part)[0]]][place[symbol]] -= p
        return dict(zip(names, _solve(rows, [Fraction(name == first) for name in names]), strict=True))

    def _expand(self, part: str, open_symbols: tuple[str, ...]) -> Iterator[Step]:
        """Every way in which `part` can produce its first token."""
        if not part.startswith("<"):
            yield Step(Fraction(1), part, (), {})
            return
        symbol, slot = symbol_and_slot(part)
        if symbol not in self.rules:
            raise ValueError(f"{part} names no rule; there are rules for {', '.join(self.rules)}")
        if symbol in open_symbols:
            raise ValueError(f"{symbol} can begin with itself: let its alternatives begin with a token")
        for rule, p in self._alternatives(symbol):
            if not rule.parts or (slot and (len(rule.parts) > 1 or rule.parts[0][0] in "<{")):
                raise ValueError(
                    f"{part}: an alternative is {' '.join(rule.parts) or 'empty'!r}; "
                    + ("what is remembered must be one token" if slot else "give it at least one token")
                )
            memory = {slot: (rule.parts[0], *rule.companions)} if slot else {}
            for step in self._expand(rule.parts[0], (*open_symbols, symbol)):
                pushed = (*step.pushed, *rule.parts[1:])
                yield Step(p * step.p, step.token, pushed, {**step.remembered, **memory})

    def _refuse_ambiguity(self, part: str, steps: Sequence[Step]) -> None:
        seen: set[str] = set()
        for step in steps:
            tokens = self._possible_tokens(step.token)
            if seen & tokens:
                raise ValueError(
                    f"two alternatives of {part} can begin with {sorted(seen & tokens)[0]!r}: "
                    "move the common beginning in front of the choice"
                )
            seen |= tokens

    def _possible_tokens(self, token: str) -> set[str]:
        """The token, or all that a `{slot}` can stand for."""
        if not token.startswith("{"):
            return {token}
        slot, number = slot_and_number(token)
        binders = [symbol_and_slot(part) for part in self._steps if part.startswith("<")]
        rules = [rule for symbol, name in binders if name == slot for rule in self.rules[symbol]]
        if not rules:
            raise ValueError(f"{token} repeats what nothing remembers: write <SYMBOL={slot}> before it")
        return {(rule.parts[0], *rule.companions)[number] for rule in rules}

    def _begin(self) -> "_State":
        return _State([self.start], {})

    def _choices(self, state: "_State") -> dict[str, Step]:
        if not state.stack:
            return {END: Step(Fraction(1), END, (), {})}
        return {state.read(step): step for step in self._steps[state.stack[-1]]}


@dataclass
class _State:
    """Where a text has come to: what is still to be produced (next last), and what is remembered."""

    stack: list[str]
    memory: Memory

    def read(self, step: Step) -> str:
        """The token of the step, looked up where it repeats a remembered one."""
        if not step.token.startswith("{"):
            return step.token
        slot, number = slot_and_number(step.token)
        return self.memory[slot][number]

    def take(self, step: Step) -> str:
        """Produce the step's token and move on."""
        token = self.read(step)
        if self.stack:
            self.stack.pop()
        self.stack.extend(reversed(step.pushed))
        self.memory = {**self.memory, **step.remembered}
        return token


def _solve(rows: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Gauss-Jordan elimination in exact fractions."""
    table = [[*row, value] for row, value in zip(rows, right, strict=True)]
    for column in range(len(table)):
        pivot = next((row for row in range(column, len(table)) if table[row][column]), None)
        if pivot is None:
            raise ValueError("a text of this grammar never ends: some symbol always leads back to itself")
        table[column], table[pivot] = table[pivot], table[column]
        table[column] = [value / table[column][column] for value in table[column]]
        for row in range(len(table)):
            if row != column and table[row][column]:
                factor = table[row][column]
                table[row] = [a - factor * b for a, b in zip(table[row], table[column], strict=True)]
    return [row[-1] for row in table]
