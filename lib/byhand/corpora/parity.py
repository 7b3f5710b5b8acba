"""Is the number of ones among some bits even or odd: a task that steps make easy and their lack makes hard.

Holds the bits, the direct and the written-out answer, and their ids. Leaves out any model. Belongs to no chapter.
"""

import random
from dataclasses import dataclass

from byhand.corpora.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["0", "1", ":", "answer"], r"[01]|:|answer")
"""Four tokens, and `<end>` as id 0."""


@dataclass(frozen=True)
class Bits:
    """Some bits and their parity.

    >>> bits = Bits((1, 0, 1, 1))
    >>> bits.question, bits.direct, bits.written_out
    ('1011:', 'answer 1', '1101 answer 1')
    """

    bits: tuple[int, ...]

    @property
    def parity(self) -> int:
        """1 where the number of ones is odd."""
        return sum(self.bits) % 2

    @property
    def question(self) -> str:
        """The bits, and a colon behind which the answer stands."""
        return "".join(map(str, self.bits)) + ":"

    @property
    def direct(self) -> str:
        """The answer alone."""
        return f"answer {self.parity}"

    @property
    def written_out(self) -> str:
        """The parity of the first bit, of the first two, and so on, then the answer."""
        running = (sum(self.bits[: length + 1]) % 2 for length in range(len(self.bits)))
        return "".join(map(str, running)) + f" {self.direct}"


def sample_bits(count: int, seed: int, length: int = 12) -> list[Bits]:
    """Draw rows of bits, each even or odd as likely; the same seed gives the same rows.

    With 12 bits there are 4,096 rows: draw the held-out ones first and leave them out of the training rows.

    Raises:
        ValueError: when `length` is below 1.

    >>> sample_bits(1, seed=0, length=5)
    [Bits(bits=(1, 1, 0, 0, 1))]
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}: it is a number of bits")
    rng = random.Random(seed)
    return [Bits(tuple(rng.choices((0, 1), k=length))) for _ in range(count)]
