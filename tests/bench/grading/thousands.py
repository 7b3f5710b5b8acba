"""A class of ten thousand: one run, its memory over time, and what a second run costs."""

import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .against_stock import grade_with_course, points_of
from .classes import Subject, lay_out, mixed_submissions
from .meter import Memory

PARTS = ("coordinator", "workers", "sandboxes")


def grade_thousands(subject: Subject, count: int, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Grade a simulated class and grade it again.

    Raises:
        RuntimeError: when a run fails, or the second changes a score or runs anything.
    """
    lay_out(folder, subject, mixed_submissions(subject, count))
    tell(f"{count:,} submissions are written")
    memory = Memory(folder / "feedback", every=max(2.0, count / 1000))
    first = grade_with_course(folder, subject, memory)
    points = points_of(folder, subject)
    if len(points) != count:
        raise RuntimeError(f"{len(points)} of {count} students have a score: {first.said}")
    tell(f"first run: {first.wall:.0f} s, {first.cpu:.0f} CPU-s, {count / first.wall:.1f} submissions a second")
    second = grade_with_course(folder, subject)
    if points_of(folder, subject) != points:
        raise RuntimeError("the second run changed a score")
    if second.cpu > first.cpu / 2:
        raise RuntimeError("the second run graded again: were packages installed meanwhile? They are part of its keys")
    tell(f"second run: {second.wall:.1f} s, {second.cpu:.1f} CPU-s, {second.wall / first.wall:.2%} of the first")
    return {
        "submissions": count,
        "mean points": statistics.mean(points),
        "first run": {"wall": first.wall, "cpu": first.cpu, "counted by": first.counted_by},
        "second run": {"wall": second.wall, "cpu": second.cpu},
        "second over first": second.wall / first.wall,
        "submissions a second": count / first.wall,
        "cpu seconds a submission": first.cpu / count,
        "memory growth": {part: growth(memory.samples, part) for part in PARTS},
        "load": os.getloadavg()[0],
        "samples": [{key: round(value, 1) for key, value in sample.items()} for sample in memory.samples],
    }


def growth(samples: list[dict[str, float]], part: str) -> dict[str, float]:
    """The memory of a part after a tenth of the work and at its end, as medians of some looks, and its peak."""
    values = [sample[part] for sample in samples]
    if len(values) < 10:
        return {"peak": max(values, default=0.0)}
    tenth = len(values) // 10
    early, late = values[tenth : 2 * tenth + 1], values[-2 * tenth : -1]
    return {"early": statistics.median(early), "late": statistics.median(late), "peak": max(values)}
