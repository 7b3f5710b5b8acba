"""All that is tried as an answer: reference, stub, mistakes, alternatives, the library, mutants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grader.course import Chapter
from grader.errors import AuthoringError
from grader.hidden import HiddenCheck
from grader.loading import load_alternatives, load_mistakes, load_module
from grader.proving.material import CodeCell
from grader.proving.mutants import make_mutants

Kind = Literal["reference", "stub", "mistake", "alternative", "library", "mutant"]


@dataclass(frozen=True)
class Candidate:
    """One answer to one exercise.

    Attributes:
        kind: what it must do: a reference, an alternative and the library earn full marks, a stub earns
            none, a
            mistake and a mutant are refused.
        exercise: the label of the answer cell that `code` stands in for.
        name: unique within the exercise and kind; a mutant's is its id.
        code: the whole answer cell.
        says: words that the refusal of a mistake must contain.
        diff: what a mutant changes.
    """

    kind: Kind
    exercise: str
    name: str
    code: str
    says: str = ""
    diff: str = ""


def all_candidates(
    chapter: Chapter, cells: Sequence[CodeCell], checks: Mapping[str, HiddenCheck], mutants: bool
) -> list[Candidate]:
    """Every candidate of a chapter, references first within their exercise.

    Raises:
        AuthoringError: when a mistake, an alternative or a library function names no exercise of the page.
    """
    candidates = []
    for cell in cells:
        if cell.role == "answer":
            candidates.append(Candidate("reference", cell.exercise, "reference", cell.solution))
            candidates.append(Candidate("stub", cell.exercise, "untouched", cell.source))
            if mutants:
                for mutant in make_mutants(cell.exercise, cell.solution):
                    diff = f"{mutant.change}\n{mutant.diff}"
                    candidates.append(Candidate("mutant", cell.exercise, mutant.id, mutant.code, diff=diff))
    labels = [candidate.exercise for candidate in candidates if candidate.kind == "reference"]
    for mistake in load_mistakes(chapter.mistakes):
        _must_be_known(mistake.exercise, labels, chapter.mistakes)
        candidates.append(Candidate("mistake", mistake.exercise, mistake.name, mistake.code, says=mistake.says))
    for other in load_alternatives(chapter.alternatives):
        _must_be_known(other.exercise, labels, chapter.alternatives)
        candidates.append(Candidate("alternative", other.exercise, other.name, other.code))
    for label, place in library_places(chapter.alternatives).items():
        _must_be_known(label, labels, chapter.alternatives)
        if label in checks:
            code = library_code(place, checks[label].uses)
            candidates.append(Candidate("library", label, place, code))
    return candidates


def library_places(path: Path) -> dict[str, str]:
    """The `LIBRARY` of a chapter's `alternatives.py`: label -> "module:name", where the library answers it.

    A chapter without it says nothing about its library, and nothing is asked.
    """
    places = getattr(load_module(path), "LIBRARY", {})
    if not isinstance(places, dict) or not all(":" in str(place) for place in places.values()):
        raise AuthoringError(
            path,
            None,
            '`LIBRARY` is not a dictionary of label -> "module:name"',
            'write for example LIBRARY = {"softmax": "byhand.probability:softmax"}',
        )
    return {str(label): str(place) for label, place in places.items()}


def library_code(place: str, uses: Sequence[str]) -> str:
    """An answer cell that takes the library's own functions; several names are separated by commas.

    >>> print(library_code("byhand.probability:softmax", ["softmax"]))
    from byhand.probability import softmax as softmax
    """
    module, names = place.split(":", 1)
    parts = [name.strip() for name in names.split(",")]
    targets = uses if len(parts) == len(uses) else parts
    return f"from {module} import " + ", ".join(f"{a} as {b}" for a, b in zip(parts, targets, strict=True))


def _must_be_known(label: str, labels: Sequence[str], path: Path) -> None:
    if label not in labels:
        raise AuthoringError(
            path, None, f"there is no exercise {label!r}", f"the page's answer cells are {', '.join(labels)}"
        )
