"""A notebook in somebody's hands, and the list of what can happen to it."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Cell = dict[str, Any]


@dataclass
class Sheet:
    """One submission while it is being damaged.

    Attributes:
        notebook: its JSON.
        rng: decides what happens where.
        drafts: by exercise, wrong answers that somebody may have begun with.
        skeleton: the notebook as it was given out.
    """

    notebook: dict[str, Any]
    rng: random.Random
    drafts: dict[str, list[str]]
    skeleton: dict[str, Any]

    @property
    def cells(self) -> list[Cell]:
        return self.notebook["cells"]

    @cells.setter
    def cells(self, cells: list[Cell]) -> None:
        self.notebook["cells"] = cells

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell["cell_type"] == "code"]

    @property
    def labels(self) -> list[str]:
        return list(self.drafts)

    def marked(self, label: str) -> Cell | None:
        """The first cell with a grade id."""
        return next((cell for cell in self.cells if grade_id(cell) == label), None)

    def as_given(self, cell: Cell) -> Cell:
        """The cell with the same label, as it was given out."""
        return next(each for each in self.skeleton["cells"] if grade_id(each) == grade_id(cell))

    def answers(self) -> list[Cell]:
        return [cell for cell in self.cells if grade_id(cell) in self.drafts]

    def checks(self) -> list[Cell]:
        return [cell for cell in self.cells if grade_id(cell).endswith("-checks")]

    def given(self) -> list[Cell]:
        """Code cells that ask for nothing."""
        return [cell for cell in self.code if not grade_id(cell)]

    def place(self, cell: Cell) -> int:
        return next(index for index, each in enumerate(self.cells) if each is cell)

    def take_out(self, cell: Cell) -> None:
        del self.cells[self.place(cell)]

    def put(self, place: int, cell: Cell) -> Cell:
        self.cells.insert(place, cell)
        return cell

    def new_id(self) -> str:
        return f"{self.rng.getrandbits(32):08x}"

    def new_code(self, source: str, **metadata: Any) -> Cell:
        return {
            "cell_type": "code",
            "execution_count": None,
            "id": self.new_id(),
            "metadata": metadata,
            "outputs": [],
            "source": source,
        }

    def some(self, cells: list[Cell], most: int = 3) -> list[Cell]:
        """One to `most` of the cells."""
        return self.rng.sample(cells, min(len(cells), self.rng.randint(1, most)))


def text(cell: Cell) -> str:
    """A cell's source as one text."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def grade_id(cell: Cell) -> str:
    return (cell.get("metadata", {}).get("nbgrader") or {}).get("grade_id", "")


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes:
        name: the function's name, a key.
        words: what happened, for the table.
        level: what `apply` works on: a Sheet, which it changes; the file's bytes, or the folder's files, which it
            returns changed.
        apply: does it.
    """

    name: str
    words: str
    level: str
    apply: Callable[..., Any]


DAMAGES: dict[str, Damage] = {}


def damage(words: str, level: str = "sheet") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function into the list of damages."""

    def keep(apply: Callable[..., Any]) -> Callable[..., Any]:
        DAMAGES[apply.__name__] = Damage(apply.__name__, words, level, apply)
        return apply

    return keep
