"""Prove a chapter: try every candidate, judge every exercise, compare survivors with their explanations."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from grader.course import Chapter, Course
from grader.errors import AuthoringError
from grader.proving.material import CodeCell, read_material
from grader.proving.proof import ChapterProof, judge_exercise
from grader.proving.running import Tried, run_chapter

SEEDS = (1, 2, 3, 4, 5)
"""The seeds that every candidate but a mutant is tried with; a mutant is tried with half of them."""


def prove_chapter(
    course: Course,
    chapter: Chapter,
    mutants: bool = False,
    seeds: Sequence[int] = SEEDS,
    parallel: int = 2,
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> ChapterProof:
    """Try every candidate of a chapter, in processes of their own, and say what is wrong.

    Raises:
        AuthoringError: when the chapter cannot be tried: a file that does not import, a cell that raises.
    """
    cells = read_material(course, chapter)
    criteria, tried = run_chapter(course, chapter, cells, mutants, seeds, parallel, progress)
    return judge_chapter(chapter, cells, criteria, tried, mutants)


def judge_chapter(
    chapter: Chapter,
    cells: Sequence[CodeCell],
    criteria: dict[str, dict[str, float]],
    tried: Sequence[Tried],
    with_mutants: bool,
) -> ChapterProof:
    """Say what is wrong, exercise by exercise in the order of the page."""
    reasons = read_reasons(chapter.folder / "mutants.toml")
    exercises = []
    for cell in cells:
        if cell.role == "checks":
            mine = [item for item in tried if item.candidate.exercise == cell.exercise]
            exercises.append(judge_exercise(cell, criteria.get(cell.exercise), mine, reasons))
    problems = [
        f"hidden.py checks {label!r}, which is no exercise of the page"
        for label in criteria
        if label not in [proof.exercise for proof in exercises]
    ]
    if with_mutants:
        survived = {name for proof in exercises for name in (*proof.explained, *proof.lucky)}
        problems += [
            f"mutants.toml explains {name}, which is refused or is no mutant any more; delete the line"
            for name in reasons
            if name not in survived
        ]
    return ChapterProof(chapter.id, tuple(exercises), tuple(problems), with_mutants)


def read_reasons(path: Path) -> dict[str, str]:
    """`mutants.toml`: mutant id -> why this change need not be noticed. {} where there is no file."""
    if not path.is_file():
        return {}
    try:
        reasons = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AuthoringError(path, None, f"not valid TOML: {error}", 'write lines of id = "reason"') from None
    for name, reason in reasons.items():
        if not isinstance(reason, str) or len(reason.split()) < 3:
            raise AuthoringError(path, None, f"{name} has no reason", "say in a sentence why it may survive")
    return reasons
