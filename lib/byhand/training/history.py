"""What happened in a training run: the losses, and the curve one looks at. Belongs to `byhand.training`.

Built in chapter 4.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from byhand.training.saving import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class History:
    """The record of a run, one entry an update; it goes on where a resumed run goes on.

    Attributes:
        loss: of the batch, before the update, in nats per target.
        lr: the learning rate.
        grad_norm: of all gradients together, before clipping.
        heldout: pairs of updates made and loss on held-out text.
        targets: how many targets were learned from in all.
        seconds: spent in all.
    """

    loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    heldout: list[tuple[int, float]] = field(default_factory=list)
    targets: int = 0
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """Updates made."""
        return len(self.loss)

    def save(self, path: str | Path) -> None:
        """Write the record as JSON; the file is there whole or not at all."""
        text = json.dumps(asdict(self), indent=1)
        write_whole(Path(path), lambda beside: beside.write_text(text + "\n", encoding="utf-8"))

    @classmethod
    def load(cls, path: str | Path) -> "History":
        """Read what `save` wrote.

        Raises:
            ValueError: when the file is not such a record.
        """
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(**{**record, "heldout": [(int(step), float(loss)) for step, loss in record["heldout"]]})
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is not the record of a training run ({error}): delete it, or restore a copy"
            ) from None

    def plot(self, reference: Mapping[str, float] | None = None, title: str = "") -> "Figure":
        """The loss curve: each batch faint, their running mean, held-out text, and losses to compare with.

        Sets matplotlib's style for the session, as `lab.style` does: it is looked up again when the figure is shown.

        Args:
            reference: lines across the figure, name to loss in nats, such as an n-gram model's.
            title: above the figure.

        Raises:
            ValueError: when no update was made.
        """
        if not self.loss:
            raise ValueError("the record is empty: there is nothing to draw before the first update")
        from matplotlib import pyplot as plt

        from byhand import lab

        lab.style()
        figure: Figure
        figure, axes = plt.subplots()
        updates = range(1, self.steps + 1)
        axes.plot(updates, self.loss, color="C0", alpha=0.25, linewidth=1)
        axes.plot(updates, running_mean(self.loss), color="C0", label="training")
        if self.heldout:
            axes.plot(*zip(*self.heldout, strict=True), "o-", color="C1", label="held-out")
        for number, (name, loss) in enumerate((reference or {}).items()):
            axes.axhline(loss, color=f"C{2 + number % 5}", linestyle="--", label=name)
        axes.set_xlabel("updates")
        axes.set_ylabel("loss (nats a token)")
        axes.set_title(title)
        axes.legend()
        plt.close(figure)  # else a notebook would show it twice: as pyplot's and as the cell's value
        return figure


def running_mean(values: list[float]) -> list[float]:
    """For each value the mean of its neighbourhood, a twenty-fifth of the whole; at the ends what there is of it.

    >>> running_mean([1.0, 3.0])
    [1.0, 3.0]
    """
    reach = len(values) // 50
    windows = (values[max(0, place - reach) : place + reach + 1] for place in range(len(values)))
    return [sum(window) / len(window) for window in windows]
