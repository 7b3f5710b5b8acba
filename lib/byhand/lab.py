"""What every notebook asks of its surroundings: a seed, a device, figures one can read, and checkpoints.

Holds nothing that an exercise asks for. Needs no widgets and no network, and works on Linux, macOS and
Windows. Belongs to no chapter. `byhand` sets OMP_WAIT_POLICY before torch loads, so import it before torch.
"""

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import torch

Answer = TypeVar("Answer")
_predictions: dict[str, Any] = {}


def checkpoint(number: str, answer: Answer, *, check: Callable[[Answer], object], stand_in: Answer) -> Answer:
    """The learner's answer when it passes its visible check, else the stand-in; says which.

    Whatever the check raises counts as not passed, so that the page runs to its end with any exercise open.

    Args:
        number: of the exercise, as printed: "1.3".
        answer: the learner's function or class.
        check: called with the answer; raises when the answer is wrong.
        stand_in: does the same job by a reference library.

    >>> def check_double(double):
    ...     assert double(2) == 4, "double of 2 is 4"
    >>> double = checkpoint("0.1", lambda x: x * x * x, check=check_double, stand_in=lambda x: 2 * x)
    0.1 is open: a stand-in is used
    (double of 2 is 4)
    >>> double(3)
    6
    """
    try:
        check(answer)
    except Exception as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        if isinstance(error, NotImplementedError):
            reason = "not written yet"
        print(f"{number} is open: a stand-in is used\n({reason})")  # noqa: T201
        return stand_in
    print(f"{number} passes: your own code is used")  # noqa: T201
    return answer


def predict(key: str, value: Any = None, *, choices: Sequence[Any] | None = None) -> Any:
    """Keep a prediction until `compare(key, outcome)` shows it beside what came out.

    Type the value into the cell; None means "no prediction". Returns the value.

    >>> predict("best n", 4, choices=[1, 2, 3, 4])
    4
    """
    if value is not None and choices is not None and value not in choices:
        print(f"{key}: {value!r} is not among the choices {list(choices)}; change it and run the cell again.")  # noqa: T201
        value = None
    _predictions[key] = value
    return value


def compare(key: str, outcome: Any) -> None:
    """Print the prediction kept under `key` beside the outcome.

    >>> _ = predict("best n", 4)
    >>> compare("best n", 3)
    best n: you said 4, it is 3 (1 too high).
    >>> compare("worst n", 6)
    worst n: 6 (not predicted).
    """
    said = _predictions.get(key)
    if said is None:
        verdict = f"{_shown(outcome)} (not predicted)."
    elif said == outcome:
        verdict = f"you said {_shown(said)}, and so it is."
    else:
        verdict = f"you said {_shown(said)}, it is {_shown(outcome)}{_difference(said, outcome)}."
    print(f"{key}: {verdict}")  # noqa: T201


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _difference(said: Any, outcome: Any) -> str:
    numbers = (int, float)
    if not isinstance(said, numbers) or not isinstance(outcome, numbers) or isinstance(outcome, bool):
        return ""
    return f" ({_shown(abs(said - outcome))} too {'high' if said > outcome else 'low'})"


def seed(number: int = 0) -> "np.random.Generator":
    """Seed Python, numpy and torch, and return a numpy generator with the same seed.

    >>> float(seed(3).random()) == float(seed(3).random())
    True
    """
    import numpy as np
    import torch

    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
    return np.random.default_rng(number)


def device() -> "torch.device":
    """CUDA where there is one, else the CPU.

    Never Apple's MPS: its kernels differ enough that losses would not be those of the text.
    """
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def style() -> None:
    """Set matplotlib so that figures read well on a phone's 390 pixels and in any colour vision.

    The colours are those of Okabe and Ito (2008); the grid stays behind the data; SVG output is the same
    bytes on every run.
    """
    import matplotlib as mpl
    from cycler import cycler

    colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
    mpl.rcParams.update(
        {
            "figure.figsize": (5.2, 3.4),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "savefig.dpi": 160,
            "font.size": 12,
            "axes.titlesize": 13,
            "axes.labelsize": 12,
            "legend.fontsize": 11,
            "legend.frameon": False,
            "lines.linewidth": 2.0,
            "lines.markersize": 6,
            "axes.prop_cycle": cycler(color=colours),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#dddddd",
            "svg.hashsalt": "byhand",
        }
    )
