"""`make mutants`: what `course prove --mutants --json` found, as one table of all chapters in book/making/chapters.md.

`python -m tests.course.table FILE...` takes several files, such as one a chapter.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grader.course import Chapter, Course, load_course
from grader.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book" / "making" / "chapters.md"

HEAD = """# Every chapter, proved

What `course prove --mutants` found for the hidden checks of each chapter. Every mistake that learners make must
be refused with the words it deserves, every other right answer must pass, the untouched notebook earns nothing and the
reference answer everything. Mutants are reference answers with one small slip, made automatically; those that change
nothing that the exercise promises are explained in the chapter's `mutants.toml`. The last column is the processor time
of all cells, experiments included, on one core. Points of the last chapter are a bonus. This page is written by
`make mutants`.

| chapter | exercises | points | mistakes refused | alternatives accepted | mutants refused | explained | seconds |
| --- | --: | --: | --: | --: | --: | --: | --: |
"""


def main() -> None:
    """Read the proofs and write the page.

    Raises:
        SystemExit: when a chapter has no proof, was proved without mutants, or something was wrong with it.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.course.table", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, default=[ROOT / "build" / "proof.json"])
    course = load_course(ROOT)
    rows = [row for file in parser.parse_args().files for row in json.loads(file.read_text(encoding="utf-8"))]
    proofs = {row["chapter"]: row for row in rows}
    for chapter in course.chapters:
        proof = proofs.get(chapter.id)
        if proof is None or not proof["with_mutants"]:
            raise SystemExit(
                f"no proof of {chapter.id} with mutants: run `course prove {chapter.id} --mutants --json FILE`"
            )
        if proof["all_problems"]:
            raise SystemExit(f"{chapter.id}: {proof['all_problems'][0]}; mend it and prove it again")
    write_whole(PAGE, page(course, proofs))
    print(PAGE.relative_to(ROOT))


def page(course: Course, proofs: dict[str, Any]) -> str:
    """The page, from the proofs by chapter."""
    lines, total = [], [0, 0.0, [0, 0], [0, 0], [0, 0], 0, 0.0]
    for chapter in course.chapters:
        exercises = proofs[chapter.id]["exercises"]
        counts = [_pairs(exercises, kind) for kind in ("mistakes", "alternatives", "mutants")]
        explained = sum(len(exercise["explained"]) for exercise in exercises)
        seconds = _seconds(course, chapter)
        row = [len(exercises), chapter.points, *counts, explained, seconds]
        total = [_add(old, new) for old, new in zip(total, row, strict=True)]
        title = chapter.title.partition(":")[0]
        lines.append(_line(f"{int(chapter.id[:2])} {title}", row))
    return HEAD + "".join([*lines, _line("all", total)])


def _pairs(exercises: Sequence[Any], kind: str) -> list[int]:
    return [sum(exercise[kind][place] for exercise in exercises) for place in (0, 1)]


def _add(old: Any, new: Any) -> Any:
    return [a + b for a, b in zip(old, new, strict=True)] if isinstance(old, list) else old + new


def _line(name: str, row: Sequence[Any]) -> str:
    count, points, mistakes, alternatives, mutants, explained, seconds = row
    cells = [
        count,
        f"{points:g}",
        *(f"{a}/{b}" for a, b in (mistakes, alternatives, mutants)),
        explained,
        f"{seconds:.0f}",
    ]
    return f"| {name} | {' | '.join(map(str, cells))} |\n"


def _seconds(course: Course, chapter: Chapter) -> float:
    """What the book's last run of the chapter took.

    Raises:
        SystemExit: when the book was not built.
    """
    kept = sorted((course.build / "book" / "executed").glob(f"{chapter.id}-*.json"))
    if not kept:
        raise SystemExit(f"{chapter.id} has not run yet: `course book` first")
    return float(json.loads(kept[-1].read_text(encoding="utf-8"))["seconds"])


if __name__ == "__main__":
    main()
