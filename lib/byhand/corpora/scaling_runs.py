"""A table of training runs: small GPTs of seven sizes, each trained on one to eight times the same number of tokens.

Holds the rows and their reader. Leaves out how they were made (`byhand.scaling.sweep`) and what is concluded from them
(chapter 12). Belongs to no chapter.
"""

import json
from dataclasses import dataclass
from pathlib import Path

RUNS_FILE = Path(__file__).parents[1] / "data" / "scaling-runs.json"


@dataclass(frozen=True)
class ScalingRun:
    """One training run.

    Attributes:
        d_model: width of the model.
        n_layers: its blocks.
        parameters: weights that take part in a matrix product, the head included: the N of 6ND.
        tokens: read in training, the D of 6ND.
        flops: of the training, with the products of attention counted.
        lr: the highest learning rate.
        seed: of the weights and of the batches.
        loss: on held-out text, in nats a token.
        accuracy: share of held-out tokens whose most probable token is the right one.
        right_in_a_row: share of places from which 1, 2, ... 6 tokens in a row are right.
    """

    d_model: int
    n_layers: int
    parameters: int
    tokens: int
    flops: float
    lr: float
    seed: int
    loss: float
    accuracy: float
    right_in_a_row: tuple[float, ...]


def scaling_runs(path: Path = RUNS_FILE) -> tuple[ScalingRun, ...]:
    """Every run of the table, in the order in which they were made.

    >>> len({run.d_model for run in scaling_runs()})
    7
    """
    rows = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return tuple(ScalingRun(**{**row, "right_in_a_row": tuple(row["right_in_a_row"])}) for row in rows)
