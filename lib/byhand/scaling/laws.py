"""How the loss falls with parameters and tokens, and the best split of a budget.

Holds the fits of a power law with an irreducible part, their use, and the vertex of an isoFLOP curve. Each fit
compares logarithms, so that a large loss weighs no more than a small one, and by Huber's loss, so that one run gone
wrong weighs little. Leaves out the runs themselves. Built in chapter 12.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

STARTS = (0.1, 0.3, 0.5, 0.8, 1.2)
"""Exponents from which a fit is tried; the best end is kept."""
ROBUST = 0.01
"""Relative error from which a run weighs linearly instead of by its square."""


@dataclass(frozen=True)
class ScalingFit:
    """The law loss(n) = E + A / n**alpha, in the loss' unit.

    >>> ScalingFit(E=1.0, A=8.0, alpha=0.5).predict([16.0]).tolist()
    [3.0]
    """

    E: float
    A: float
    alpha: float

    def predict(self, n: Sequence[float] | np.ndarray) -> Float[np.ndarray, " runs"]:
        """The loss at each size."""
        found: np.ndarray = self.E + self.A * np.asarray(n, float) ** -self.alpha
        return found


@dataclass(frozen=True)
class ScalingSurface:
    """The law loss(n, d) = E + A / n**a + B / d**b of parameters n and tokens d (Hoffmann et al. 2022, equation 2)."""

    E: float
    A: float
    a: float
    B: float
    b: float

    def predict(self, n: Sequence[float] | np.ndarray, d: Sequence[float] | np.ndarray) -> Float[np.ndarray, " runs"]:
        """The loss of each run."""
        n, d = np.asarray(n, float), np.asarray(d, float)
        found: np.ndarray = self.E + self.A * n**-self.a + self.B * d**-self.b
        return found

    def split(self, flops: float) -> tuple[float, float]:
        """Parameters and tokens that reach the lowest loss for a budget; see `compute_optimal`."""
        return compute_optimal(flops, self.A, self.B, self.a, self.b)


def fit_scaling(n: Sequence[float] | np.ndarray, loss: Sequence[float] | np.ndarray) -> ScalingFit:
    """Fit loss = E + A / n**alpha to runs of several sizes.

    A straight line through the logarithms would set E to 0 and bend the exponent: the irreducible part must be
    fitted along. Hoffmann et al. 2022, section 3.3, with one variable.

    Raises:
        ValueError: when there are fewer than four runs, fewer than four sizes, or a value that is not positive.

    >>> law = ScalingFit(E=1.5, A=20.0, alpha=0.4)
    >>> sizes = [1e3, 1e4, 1e5, 1e6, 1e7]
    >>> fit = fit_scaling(sizes, law.predict(sizes))
    >>> round(fit.E, 3), round(fit.A, 2), round(fit.alpha, 3)
    (1.5, 20.0, 0.4)
    """
    sizes, losses = _checked(n=n, loss=loss)
    if len(np.unique(sizes)) < 4:
        raise ValueError(f"three numbers are fitted: give runs of at least 4 sizes, got {len(np.unique(sizes))}")
    middle = float(np.exp(np.log(sizes).mean()))  # sizes relative to their middle: then A and alpha hardly interact
    found = _least((sizes / middle,), losses)
    return ScalingFit(E=found[0], A=found[1] * middle ** found[2], alpha=found[2])


def fit_surface(
    n: Sequence[float] | np.ndarray, d: Sequence[float] | np.ndarray, loss: Sequence[float] | np.ndarray
) -> ScalingSurface:
    """Fit loss = E + A / n**a + B / d**b to runs of several sizes and lengths. Hoffmann et al. 2022, section 3.3.

    Raises:
        ValueError: when there are fewer than six runs or three sizes or lengths, or a value is not positive.
    """
    sizes, lengths, losses = _checked(n=n, d=d, loss=loss)
    if len(losses) < 6 or min(len(np.unique(sizes)), len(np.unique(lengths))) < 3:
        raise ValueError(
            f"five numbers are fitted: give at least 6 runs of 3 sizes and 3 lengths, got {len(losses)} runs of "
            f"{len(np.unique(sizes))} and {len(np.unique(lengths))}"
        )
    middles = [float(np.exp(np.log(values).mean())) for values in (sizes, lengths)]
    found = _least((sizes / middles[0], lengths / middles[1]), losses)
    return ScalingSurface(
        E=found[0],
        A=found[1] * middles[0] ** found[2],
        a=found[2],
        B=found[3] * middles[1] ** found[4],
        b=found[4],
    )


def compute_optimal(flops: float, A: float, B: float, a: float, b: float) -> tuple[float, float]:
    """Parameters N and tokens D with the lowest A / N**a + B / D**b among those with 6 N D = `flops`.

    Setting the derivative along the constraint to zero gives a A / N**a = b B / D**b. Hoffmann et al. 2022,
    equation 4.

    Raises:
        ValueError: when an argument is not positive.

    >>> n, d = compute_optimal(6e12, A=400.0, B=400.0, a=0.3, b=0.3)
    >>> round(n), round(d)
    (1000000, 1000000)
    """
    if not min(flops, A, B, a, b) > 0:
        raise ValueError(f"all arguments must be above 0, got flops={flops}, A={A}, B={B}, a={a}, b={b}")
    logarithm = (math.log(a * A / (b * B)) + b * math.log(flops / 6)) / (a + b)
    n = math.exp(logarithm)
    return n, flops / (6 * n)


def isoflop_minima(runs: Iterable[tuple[float, float, float]]) -> dict[float, float]:
    """For each budget the size with the lowest loss: the vertex of a parabola in ln N through its runs.

    The best of the runs themselves would be one of the sizes that were tried. Hoffmann et al. 2022, section 3.2.

    Args:
        runs: (budget, parameters, loss) of each run.

    Raises:
        ValueError: when a budget has fewer than three sizes, or its parabola has no lowest point.

    >>> curve = [(1e15, n, 2 + (math.log(n) - math.log(3e6)) ** 2) for n in (1e6, 2e6, 8e6)]
    >>> {budget: round(n) for budget, n in isoflop_minima(curve).items()}
    {1000000000000000.0: 3000000}
    """
    budgets: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for budget, n, loss in runs:
        budgets[budget].append((n, loss))
    minima = {}
    for budget, points in budgets.items():
        sizes, losses = _checked(n=[n for n, _ in points], loss=[loss for _, loss in points])
        if len(np.unique(sizes)) < 3:
            raise ValueError(f"the budget {budget:g} has {len(np.unique(sizes))} sizes: a parabola needs three")
        middle = np.log(sizes).mean()
        curvature, slope, _ = np.polyfit(np.log(sizes) - middle, losses, 2)
        if curvature <= 0:
            raise ValueError(f"the losses of budget {budget:g} have no lowest point: add smaller and larger models")
        minima[budget] = float(np.exp(middle - slope / (2 * curvature)))
    return minima


def exact_match(token_accuracy: Float[np.ndarray, "*runs"], length: int) -> Float[np.ndarray, "*runs"]:
    """How often all of `length` tokens are right when each is with this probability: what looks like emergence.

    The power turns a smooth curve into one that stays at zero and then rises. Schaeffer et al. 2023, section 2.

    Raises:
        ValueError: when the length is below 1.

    >>> exact_match(np.array([0.5, 0.9]), length=6).round(3).tolist()
    [0.016, 0.531]
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    found: np.ndarray = np.asarray(token_accuracy, float) ** length
    return found


def _checked(**columns: Sequence[float] | np.ndarray) -> list[np.ndarray]:
    arrays = {name: np.asarray(values, float) for name, values in columns.items()}
    if len({array.shape for array in arrays.values()}) != 1 or next(iter(arrays.values())).ndim != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"one value a run is needed in each column, got shapes {shapes}")
    for name, array in arrays.items():
        wrong = array[~(np.isfinite(array) & (array > 0))]
        if len(wrong):
            raise ValueError(f"{name} holds {wrong[0]:g}: sizes, tokens and losses are finite and above 0")
    return list(arrays.values())


def _least(columns: tuple[np.ndarray, ...], losses: np.ndarray) -> list[float]:
    """E, then a factor and an exponent for each column, of the best of the fits from `STARTS`."""
    from scipy.optimize import least_squares

    logs = [np.log(column) for column in columns]

    def residuals(free: np.ndarray) -> np.ndarray:
        parts = [np.full(len(losses), free[0])]
        parts += [free[1 + 2 * at] - free[2 + 2 * at] * log for at, log in enumerate(logs)]
        off: np.ndarray = np.logaddexp.reduce(parts, axis=0) - np.log(losses)
        return off

    half = math.log(losses.min() / 2)
    ends = [
        least_squares(residuals, [half] + [half, start] * len(columns), loss="huber", f_scale=ROBUST, xtol=1e-14)
        for start in STARTS
    ]
    best = min(ends, key=lambda end: float(end.cost)).x.tolist()
    return [value if place and place % 2 == 0 else math.exp(value) for place, value in enumerate(best)]
