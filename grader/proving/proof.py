"""What is wrong with an exercise's tests, judged from the trials of its candidates.

What counts as wrong:

- a reference, an alternative or the library's own function without full marks, or refused by the visible
checks; - a stub with points; a mistake or a mutant with full marks; a mistake refused in other words than
it promised; - an exercise whose mistakes are all caught by the visible checks already (its hidden check
adds nothing); - a hidden check that takes ten seconds, or an exercise without one;
- a line of `mutants.toml` that explains a mutant which is refused, or is no more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from grader.proving.material import CodeCell
from grader.proving.running import Tried

SLOW = 10.0
"""Seconds of CPU time that a hidden check may take, cases and judging included."""

MUTANT_PASSES = "gets full marks; refuse it, or say in mutants.toml why it may pass"


@dataclass
class ExerciseProof:
    """What was found for one exercise. Counts are pairs: how many did what they must, of how many."""

    exercise: str
    points: float
    reference: float = 0.0
    stub: float = 0.0
    seconds: float = 0.0
    mistakes: tuple[int, int] = (0, 0)
    unseen: int = 0
    """Mistakes that the visible checks let pass."""
    alternatives: tuple[int, int] = (0, 0)
    library: str = "–"
    mutants: tuple[int, int] = (0, 0)
    survivors: dict[str, str] = field(default_factory=dict)
    """Mutants with full marks that nobody has explained: id -> what was changed."""
    explained: dict[str, str] = field(default_factory=dict)
    """Mutants with full marks: id -> reason."""
    lucky: dict[str, str] = field(default_factory=dict)
    """Mutants with full marks on some seeds only: id -> what was changed."""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ChapterProof:
    """What was found for a chapter."""

    chapter: str
    exercises: tuple[ExerciseProof, ...]
    problems: tuple[str, ...] = ()
    """Of the chapter as a whole; those of an exercise are with it."""
    with_mutants: bool = False

    @property
    def all_problems(self) -> list[str]:
        """Everything that is wrong, one sentence each."""
        of_exercises = [f"{proof.exercise}: {words}" for proof in self.exercises for words in proof.problems]
        return of_exercises + list(self.problems)


def judge_exercise(
    cell: CodeCell, criteria: Mapping[str, float] | None, tried: Sequence[Tried], reasons: Mapping[str, str]
) -> ExerciseProof:
    """Judge one exercise by its checks cell and the criteria of its hidden check (None: there is none)."""
    proof = ExerciseProof(cell.exercise, cell.points)
    if criteria is None:
        proof.problems.append("there is no hidden check for it; add a class to hidden.py")
        return proof
    if abs(sum(criteria.values()) - cell.points) > 1e-9:
        proof.problems.append(
            f"its criteria are worth {sum(criteria.values()):g} points, its checks cell {cell.points:g}"
        )
    for item in tried:
        KINDS[item.candidate.kind](proof, item, cell.points, reasons)
    if proof.seconds >= SLOW:
        proof.problems.append(f"its hidden check takes {proof.seconds:.1f} s; it may take {SLOW:.0f} s")
    if not proof.mistakes[1]:
        proof.problems.append("mistakes.py has no mistake for it")
    elif not proof.unseen:
        proof.problems.append(
            "the visible checks catch every mistake already; add a mistake that only the hidden check can see"
        )
    if not proof.alternatives[1]:
        proof.problems.append("alternatives.py has no other right answer for it")
    return proof


def _reference(proof: ExerciseProof, item: Tried, points: float, reasons: Mapping[str, str]) -> None:
    proof.reference = _lowest(item)
    proof.seconds = max((hearing.seconds for hearing in item.trial.hearings), default=0.0)
    proof.problems += _short_of_full("the reference answer", item, points)


def _stub(proof: ExerciseProof, item: Tried, points: float, reasons: Mapping[str, str]) -> None:
    proof.stub = max((hearing.points for hearing in item.trial.hearings), default=0.0)
    if proof.stub:
        proof.problems.append(f"the untouched answer gets {proof.stub:g} points")
    if not item.trial.visible and not item.trial.ended:
        proof.problems.append("the untouched answer passes the visible checks")


def _mistake(proof: ExerciseProof, item: Tried, points: float, reasons: Mapping[str, str]) -> None:
    name = f"the mistake {item.candidate.name!r}"
    wrong = [h for h in item.trial.hearings if h.points >= points]
    refused = [h for h in item.trial.hearings if h.points < points]
    silent = [h for h in refused if not _says(h.words.values(), item.candidate.says)]
    if item.trial.ended:
        proof.problems.append(f"{name} came to no end: {item.trial.ended}")
    elif wrong:
        proof.problems.append(f"{name} gets full marks with {len(wrong)} of {len(item.trial.hearings)} seeds")
    elif silent:
        words = "; ".join(sorted({text for text in silent[0].words.values() if text}))
        proof.problems.append(f"{name} is refused, but not with the words {item.candidate.says!r}: {words}")
    fine = not (item.trial.ended or wrong or silent)
    proof.mistakes = (proof.mistakes[0] + fine, proof.mistakes[1] + 1)
    proof.unseen += not item.trial.visible and not item.trial.ended


def _alternative(proof: ExerciseProof, item: Tried, points: float, reasons: Mapping[str, str]) -> None:
    problems = _short_of_full(f"the alternative {item.candidate.name!r}", item, points)
    proof.problems += problems
    proof.alternatives = (proof.alternatives[0] + (not problems), proof.alternatives[1] + 1)


def _library(proof: ExerciseProof, item: Tried, points: float, reasons: Mapping[str, str]) -> None:
    problems = _short_of_full(f"the library's own {item.candidate.name}", item, points)
    proof.problems += problems
    proof.library = "no" if problems else "yes"


def _mutant(proof: ExerciseProof, item: Tried, points: float, reasons: Mapping[str, str]) -> None:
    full = [hearing.points >= points for hearing in item.trial.hearings]
    name, diff = item.candidate.name, item.candidate.diff
    if full and any(full):
        if name in reasons:
            proof.explained[name] = reasons[name]
        elif all(full):
            proof.survivors[name] = diff
            proof.problems.append(f"the mutant {name} {MUTANT_PASSES}")
        else:
            proof.lucky[name] = diff
    killed = not (full and all(full))
    proof.mutants = (proof.mutants[0] + killed, proof.mutants[1] + 1)


KINDS = {
    "reference": _reference,
    "stub": _stub,
    "mistake": _mistake,
    "alternative": _alternative,
    "library": _library,
    "mutant": _mutant,
}


def _short_of_full(name: str, item: Tried, points: float) -> list[str]:
    problems = []
    if item.trial.ended:
        return [f"{name} came to no end: {item.trial.ended}"]
    if item.trial.visible:
        problems.append(f"{name} does not pass the visible checks: {item.trial.visible}")
    for number, hearing in enumerate(item.trial.hearings, 1):
        if hearing.points < points:
            words = "; ".join(f"{name}: {text}" for name, text in hearing.words.items() if text)
            share = f"{hearing.points:g} of {points:g} points"
            problems.append(f"{name} gets {share} with seed {number}: {words}")
            break
    return problems


def _lowest(item: Tried) -> float:
    return min((hearing.points for hearing in item.trial.hearings), default=0.0)


def _says(words: Iterable[str], says: str) -> bool:
    """Whether the words of a refusal contain those that were promised, whatever the case and line breaks."""
    said = " ".join(" ".join(words).split()).casefold()
    return " ".join(says.split()).casefold() in said
