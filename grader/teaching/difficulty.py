"""How a class did: the distribution of its totals, and how hard each exercise was."""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grader.teaching.report import ClassReport, Column
from grader.teaching.results import Finished

ENOUGH = 20
"""Students below which a correlation says nothing: with 20, chance alone gives 0.44 one time in twenty."""

BINS = 20
"""At most so many bars in a histogram."""

FINEST = 0.5
"""Points in a bar where there are few to earn: finer than marks are given, bars would only stand apart."""


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: `least` <= total < `below`, and the last bar holds its upper end too."""

    least: float
    below: float
    count: int


@dataclass(frozen=True)
class Distribution:
    """Totals of a class; the numbers are None where it has no student."""

    count: int
    max_points: float
    mean: float | None
    deviation: float | None
    lowest: float | None
    quartiles: tuple[float, float, float] | None
    highest: float | None
    histogram: tuple[Bar, ...]


@dataclass(frozen=True)
class Difficulty:
    """One exercise over a class.

    Attributes:
        label: the column's label.
        name: number and title.
        max_points: what a right answer earns.
        mean: over those with points in it; None where nobody has.
        full: students with all points, or more.
        partly: students with some.
        none: students with none.
        waiting: students whom a person still has to grade.
        absent: students without the exercise: a chapter that they did not hand in.
        discrimination: the correlation of its points with the rest of the total, -1 to 1: near 0, good and weak
            students do alike; below 0, look at the exercise. None below 20 students or without variety.
        median_seconds: of running and checking it, where known.
    """

    label: str
    name: str
    max_points: float
    mean: float | None
    full: int
    partly: int
    none: int
    waiting: int
    absent: int
    discrimination: float | None
    median_seconds: float | None


def distribution(report: ClassReport) -> Distribution:
    """The totals of a class. Quartiles are interpolated between students (the "inclusive" method)."""
    totals = sorted(row.total for row in report.rows)
    if not totals:
        return Distribution(0, report.max_points, None, None, None, None, None, ())
    if len(totals) > 1:
        low, middle, high = statistics.quantiles(totals, n=4, method="inclusive")
    else:
        low = middle = high = totals[0]
    return Distribution(
        count=len(totals),
        max_points=report.max_points,
        mean=math.fsum(totals) / len(totals),
        deviation=statistics.stdev(totals) if len(totals) > 1 else None,
        lowest=totals[0],
        quartiles=(low, middle, high),
        highest=totals[-1],
        histogram=_histogram(totals, report.max_points),
    )


def _histogram(totals: list[float], most: float) -> tuple[Bar, ...]:
    """Bars of one round width from 0 to the maximum, or to the best total where extra credit goes beyond it."""
    top = max(most, totals[-1], 1e-9)
    exponent = 10.0 ** math.floor(math.log10(top / BINS))
    width = next(step * exponent for step in (1, 2, 5, 10) if top / (step * exponent) <= BINS)
    width = max(width, min(FINEST, top / 2))
    number = max(1, math.ceil(top / width - 1e-9))
    counts = [0] * number
    for total in totals:
        counts[min(number - 1, int(total / width + 1e-9))] += 1
    return tuple(Bar(round(i * width, 9), round((i + 1) * width, 9), count) for i, count in enumerate(counts))


def difficulties(report: ClassReport, results: Mapping[str, Finished] | None = None) -> list[Difficulty]:
    """Each column of a report, in its order. Times come from `results`, by the exercise's own label."""
    spent: dict[str, list[float]] = {}
    for result in (results or {}).values():
        for label, seconds in result.spent:
            spent.setdefault(label, []).append(seconds)
    totals = [row.total for row in report.rows]
    return [_difficulty(report, column, totals, spent) for column in report.columns]


def _difficulty(
    report: ClassReport, column: Column, totals: list[float], spent: Mapping[str, list[float]]
) -> Difficulty:
    points = [row.points.get(column.label) for row in report.rows]
    scored = [value for value in points if value is not None]
    full = sum(value >= column.max_points for value in scored)
    partly = sum(0 < value < column.max_points for value in scored)
    absent = sum(column.label not in row.points for row in report.rows)
    seconds = spent.get(column.label.removesuffix("-checks"))
    pairs = ((value, total - value) for value, total in zip(points, totals, strict=True) if value is not None)
    return Difficulty(
        label=column.label,
        name=column.name,
        max_points=column.max_points,
        mean=math.fsum(scored) / len(scored) if scored else None,
        full=full,
        partly=partly,
        none=len(scored) - full - partly,
        waiting=len(points) - len(scored) - absent,
        absent=absent,
        discrimination=_correlation(pairs),
        median_seconds=statistics.median(seconds) if seconds else None,
    )


def _correlation(pairs: Iterable[tuple[float, float]]) -> float | None:
    both = list(pairs)
    if len(both) < ENOUGH:
        return None
    own, rest = zip(*both, strict=True)
    # spread of rounding errors alone is no variety
    if max(own) - min(own) < 1e-9 or max(rest) - min(rest) < 1e-9:
        return None
    return statistics.correlation(own, rest)
