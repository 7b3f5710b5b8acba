"""The process that runs a chapter's own code: a request on stdin, JSON lines on stdout.

It goes down the page once. Untagged cells are reduced to what the exercises need (`slicing`), and at each
answer cell it forks one child for each candidate, then runs the reference answer and goes on. So a
candidate sees the page above it with right answers, and nothing below it; and the imports are paid for
once.
"""

import builtins
import dataclasses
import functools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.authoring.cell_names import bound_names, parse_cell
from grader.course import Chapter, load_course
from grader.errors import AuthoringError, CourseError
from grader.grading.shortcuts import forbidden_use
from grader.hidden import HiddenCheck
from grader.loading import load_checks
from grader.proving.candidates import Candidate, all_candidates
from grader.proving.forks import Job, run_forked
from grader.proving.material import CodeCell
from grader.proving.slicing import needed_parts
from grader.proving.trial import Drawn, Namespace, draw, in_words, run_text, try_candidate

PATIENCE = 5
"""Wall time for one second of CPU time: what a busy machine may take, or an answer that sleeps."""


def main() -> None:
    """Read the request, write one line for each candidate, then `{"done": true}`."""
    request = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    try:
        for line in prove_lines(request):
            print(json.dumps(line), file=out, flush=True)
    except CourseError as error:
        print(json.dumps({"fatal": [error.problem, error.remedy, _place(error)]}), file=out, flush=True)


def _place(error: CourseError) -> list[Any]:
    return [str(error.path), error.line] if isinstance(error, AuthoringError) else []


def prove_lines(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All lines of the answer to a request (see `proof.run_chapter`)."""
    chapter = load_course(Path(request["root"])).chapter(request["chapter"])
    cells = [CodeCell(**cell) for cell in request["cells"]]
    checks = load_checks(chapter.hidden)
    asked = [(Candidate(**candidate), seeds) for candidate, seeds in request["asked"]]
    if not asked:
        seeds = request["seeds"]
        few = seeds[: len(seeds) // 2 + 1]
        candidates = all_candidates(chapter, cells, checks, request["mutants"])
        asked = [(candidate, few if candidate.kind == "mutant" else seeds) for candidate in candidates]
    yield {
        "count": len(asked),
        "checks": {label: dict(check.criteria) for label, check in checks.items()},
    }
    page = _Page(chapter, cells, checks, asked)
    for cell in cells:
        if cell.role == "answer":
            yield from page.try_all(cell, request["parallel"])
        page.run(cell)
    yield {"done": True}


class _Page:
    """The page's namespace on the way down."""

    def __init__(
        self,
        chapter: Chapter,
        cells: list[CodeCell],
        checks: dict[str, HiddenCheck],
        asked: list[tuple[Candidate, list[int]]],
    ) -> None:
        self.chapter = chapter
        self.cells = cells
        self.checks = checks
        self.asked = asked
        self.namespace: Namespace = {"__name__": "__main__", "__builtins__": builtins}
        others = [cell for cell in cells if cell.role != "answer"]
        readers = [cell.source for cell in cells if cell.role == "checks"]
        readers += [candidate.code for candidate, _ in asked if candidate.kind != "mutant"]
        answered = {name for cell in cells if cell.role == "answer" for name in _defined(cell.solution)}
        parts = needed_parts([cell.source for cell in others], readers, answered)
        self.parts = {id(cell): part for cell, part in zip(others, parts, strict=True)}

    def run(self, cell: CodeCell) -> None:
        """Run the reference answer, or what is needed of another cell."""
        text = cell.solution if cell.role == "answer" else self.parts[id(cell)]
        try:
            run_text(text, f"<{cell.exercise or 'page'}>", self.namespace)
        except BaseException as error:
            first = next((line for line in text.splitlines() if line.strip()), "")
            raise AuthoringError(
                self.chapter.page,
                None,
                f"the cell that begins with {first!r} raises {in_words(error)}",
                "run the chapter's source notebook from top to bottom",
            ) from None

    def try_all(self, cell: CodeCell, parallel: int) -> Iterator[dict[str, Any]]:
        """One line for each candidate of an answer cell; the reference's time sets that of the mutants."""
        check = self.checks.get(cell.exercise)
        mine = [(key, *asked) for key, asked in enumerate(self.asked) if asked[0].exercise == cell.exercise]
        every = dict.fromkeys(seed for *_, seeds in mine for seed in seeds)
        drawn = {seed: draw(check, seed) for seed in every} if check else {}
        start = self.cells.index(cell) + 1
        below = self.cells[start:]
        visible = next((c for c in below if c.role == "checks" and c.exercise == cell.exercise), None)
        between = [self.parts[id(c)] for c in below[: below.index(visible)] if c.role != "answer"] if visible else []
        for name in _defined(cell.solution):
            self.namespace.pop(name, None)
        budget = self.chapter.budget
        whole = 10 + 3 * budget.cell_seconds + max((len(seeds) for *_, seeds in mine), default=0) * budget.check_seconds
        short = whole
        for group in ("reference",), ("stub", "mistake", "alternative", "library"), ("mutant",):
            jobs = []
            for key, candidate, seeds in mine:
                if candidate.kind in group:
                    heard = [drawn[seed] for seed in seeds] if check else []
                    work = functools.partial(
                        self.trial, candidate, between, visible.source if visible else "", check, heard
                    )
                    cpu_seconds = short if candidate.kind == "mutant" else whole
                    jobs.append(Job(key, work, PATIENCE * whole, cpu_seconds))
            for key, trial, ended in run_forked(jobs, parallel):
                result = trial or {"ended": ended}
                if group == ("reference",):
                    short = min(whole, 3.0 + 5.0 * float(result.get("seconds", whole)))
                yield {"key": key, "candidate": dataclasses.asdict(self.asked[key][0]), "trial": result}

    def trial(
        self,
        candidate: Candidate,
        between: list[str],
        visible: str,
        check: HiddenCheck | None,
        drawn: list[Drawn],
    ) -> dict[str, Any]:
        """Try one candidate in this process, which is a child of its own."""
        page = [cell.source for cell in self.cells]
        forbidden = forbidden_use(candidate.code, check.forbids, page) if check else ""
        return dataclasses.asdict(
            try_candidate(
                candidate.code, between, visible, check, drawn, self.namespace, self.chapter.budget, forbidden
            )
        )


def _defined(solution: str) -> set[str]:
    return {name for node in parse_cell(solution).body for name in bound_names(node)}


if __name__ == "__main__":
    main()
