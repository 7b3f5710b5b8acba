"""Five hundred damaged submissions, the same ones each time."""

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files, hands, keyboard, tools
from .sheet import DAMAGES, Damage, Sheet
from .undamaged import Material, Undamaged, fresh

COUNT = 500
HOW_MANY = (1, 2, 3)
WEIGHTS = (60, 25, 15)
"""Of a hundred submissions, how many suffer one, two and three kinds of damage."""

ORDER = ("sheet", "format", "file", "folder")
"""People and programs change cells, then a program saves, then the file travels."""
TURNS = {hands.__name__: 0, keyboard.__name__: 0, tools.__name__: 1, files.__name__: 2}


@dataclass(frozen=True)
class Damaged:
    """One damaged submission.

    Attributes:
        number: which of the five hundred.
        undamaged: what it was made from.
        kinds: what happened to it, in that order.
        folder: what lies in the student's folder, contents by relative path.
    """

    number: int
    undamaged: Undamaged
    kinds: tuple[Damage, ...]
    folder: dict[str, bytes]

    @property
    def story(self) -> str:
        return f"number {self.number} ({self.undamaged.name}): " + "; ".join(kind.words for kind in self.kinds)

    def write(self, folder: Path) -> None:
        """Put it where a student's submission lies."""
        for name, data in self.folder.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def make_damaged(material: Material, count: int = COUNT) -> Iterator[Damaged]:
    """The damaged submissions, each kind of damage in turn and some with one or two more."""
    kinds = list(DAMAGES.values())
    for number in range(count):
        rng = random.Random(f"damaged {number}")
        undamaged = material.submissions[rng.randrange(len(material.submissions))]
        chosen = [kinds[number % len(kinds)]]
        (more,) = rng.choices(HOW_MANY, WEIGHTS)
        while len(chosen) < more:
            other = rng.choice(kinds)
            # one format, one encoding, one folder: a second would undo the first
            once = {kind.level for kind in chosen if kind.level != "sheet"}
            if other not in chosen and other.level not in once:
                chosen.append(other)
        chosen.sort(key=_turn)
        yield Damaged(number, undamaged, tuple(chosen), _apply(material, undamaged, chosen, rng))


def _turn(kind: Damage) -> tuple[int, int]:
    return ORDER.index(kind.level), TURNS[kind.apply.__module__]


def _apply(material: Material, undamaged: Undamaged, chosen: list[Damage], rng: random.Random) -> dict[str, bytes]:
    sheet = Sheet(fresh(undamaged), rng, material.drafts, material.skeleton)
    levels = {level: list(kinds) for level, kinds in itertools.groupby(chosen, key=lambda kind: kind.level)}
    for kind in [*levels.get("sheet", ()), *levels.get("format", ())]:
        kind.apply(sheet)
    data = as_file(sheet.notebook)
    for kind in levels.get("file", ()):
        data = kind.apply(data, sheet)
    folder = {material.chapter.page.with_suffix(".ipynb").name: data}
    for kind in levels.get("folder", ()):
        folder = kind.apply(folder, sheet)
    return folder


def as_file(notebook: dict[str, Any]) -> bytes:
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()
