"""A chapter's proof for people: a line for each exercise, what is wrong, the surviving mutants."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.proving.proof import MUTANT_PASSES, ChapterProof, ExerciseProof

HEADINGS = (
    "refer-\nence",
    "\nstub",
    "mis-\ntakes",
    "hidden\nonly",
    "alter-\nnatives",
    "lib-\nrary",
    "\nmutants",
    "ex-\ncused",
)
"""Mistakes and mutants: how many are refused. Hidden only: mistakes that the visible checks let pass.
Excused: mutants that are not refused and have a line in mutants.toml."""


def show_proof(proof: ChapterProof, console: Console) -> None:
    """Print everything."""
    table = Table(title=f"{proof.chapter}: the tests, tested", title_justify="left", box=SIMPLE_HEAD, padding=0)
    table.show_footer = True
    table.add_column("\nexercise", footer="all", no_wrap=True)
    for heading, footer in zip(HEADINGS, _totals(proof), strict=True):
        if proof.with_mutants or heading not in HEADINGS[-2:]:
            table.add_column(heading, justify="right", footer=footer, no_wrap=True)
    table.add_column("sec-\nonds", justify="right", no_wrap=True)
    for exercise in proof.exercises:
        table.add_row(*_row(exercise, proof.with_mutants))
    console.print(table)
    for words in proof.all_problems:
        if MUTANT_PASSES not in words:
            console.print(f"[red]✗[/red] {escape(words)}", highlight=False, soft_wrap=True)
    if proof.with_mutants:
        console.print(mutants_in_words(proof), highlight=False)
    for exercise in proof.exercises:
        for name, diff in exercise.survivors.items():
            _show_mutant(console, f"[red]✗[/red] [bold]{name}[/bold] {MUTANT_PASSES}", diff)
        for name, diff in exercise.lucky.items():
            _show_mutant(console, f"  [bold]{name}[/bold] gets full marks with some seeds only", diff)


def _show_mutant(console: Console, words: str, diff: str) -> None:
    change, _, lines = diff.partition("\n")
    shown = "\n".join(f"    {line}" for line in lines.splitlines())
    console.print(f"{words} ({escape(change)}):\n{escape(shown)}", highlight=False, soft_wrap=True)


def mutants_in_words(proof: ChapterProof) -> str:
    """How many mutants were refused, in a sentence."""
    killed, count = _sum([exercise.mutants for exercise in proof.exercises])
    explained = sum(len(exercise.explained) for exercise in proof.exercises)
    left = sum(len(exercise.survivors) for exercise in proof.exercises)
    share = f" ({killed / count:.1%})" if count else ""
    return f"{killed} of {count} mutants refused{share}, {explained} explained, {left} left to explain"


def _row(exercise: ExerciseProof, with_mutants: bool) -> list[str]:
    mark = "[red]✗[/red]" if exercise.problems else "[green]✓[/green]"
    row = [
        f"{mark} {exercise.exercise}",
        f"{exercise.reference:g}/{exercise.points:g}",
        f"{exercise.stub:g}",
        _of(exercise.mistakes),
        str(exercise.unseen),
        _of(exercise.alternatives),
        exercise.library,
    ]
    if with_mutants:
        row += [_of(exercise.mutants), str(len(exercise.explained))]
    return [*row, f"{exercise.seconds:.2f}"]


def _totals(proof: ChapterProof) -> list[str]:
    exercises = proof.exercises
    right, points = sum(e.reference for e in exercises), sum(e.points for e in exercises)
    return [
        f"{right:g}/{points:g}",
        f"{sum(e.stub for e in exercises):g}",
        _of(_sum([e.mistakes for e in exercises])),
        str(sum(e.unseen for e in exercises)),
        _of(_sum([e.alternatives for e in exercises])),
        "",
        _of(_sum([e.mutants for e in exercises])),
        str(sum(len(e.explained) for e in exercises)),
    ]


def _of(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]}"


def _sum(pairs: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
