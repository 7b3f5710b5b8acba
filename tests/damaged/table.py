"""Grade all five hundred and print what each kind of damage cost: `make damaged`."""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grader.execution.run import execute

from .comparing import Verdict, comparison
from .making import COUNT, make_damaged
from .sheet import DAMAGES
from .undamaged import ROOT, load_material

TOGETHER = "two or three kinds at once"


def by_kind(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    """The verdicts by kind of damage: those that suffered one kind, and all others together."""
    found: dict[str, list[Verdict]] = {kind.words: [] for kind in DAMAGES.values()}
    found[TOGETHER] = []
    for verdict in verdicts:
        kinds = verdict.damaged.kinds
        found[kinds[0].words if len(kinds) == 1 else TOGETHER].append(verdict)
    return found


def as_markdown(verdicts: Sequence[Verdict]) -> str:
    """The table: how many of each kind, how many kept their score, how many run exactly as before."""
    lines = ["| damage | made | same points | same program |", "|---|---:|---:|---:|"]
    for words, some in by_kind(verdicts).items():
        kept, same = sum(each.kept for each in some), sum(each.same_plan for each in some)
        lines.append(f"| {words} | {len(some)} | {kept} | {same} |")
    kept, same = sum(each.kept for each in verdicts), sum(each.same_plan for each in verdicts)
    lines.append(f"| **all** | {len(verdicts)} | {kept} ({kept / len(verdicts):.1%}) | {same} |")
    return "\n".join(lines) + "\n"


def as_json(verdicts: Sequence[Verdict]) -> str:
    rows = [
        {
            "number": each.damaged.number,
            "made from": each.damaged.undamaged.name,
            "damage": [kind.words for kind in each.damaged.kinds],
            "kept": each.kept,
            "same program": each.same_plan,
            "repairs": each.repairs,
            "problem": each.problem,
            "before": each.before,
            "after": each.after,
        }
        for each in verdicts
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Grade, print and write; 1 when fewer than 99 of 100 kept their score."""
    from rich.progress import track

    parser = argparse.ArgumentParser(prog="make damaged", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "damaged")
    asked = parser.parse_args()
    material = load_material()
    compare = comparison(material, execute)
    with ThreadPoolExecutor(asked.workers) as pool:
        waiting = pool.map(compare, make_damaged(material, asked.count))
        verdicts = list(track(waiting, "grading", total=asked.count))
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "damaged.json").write_text(as_json(verdicts), encoding="utf-8")
    (asked.out / "damaged.md").write_text(as_markdown(verdicts), encoding="utf-8")
    print(as_markdown(verdicts))
    lost = [each for each in verdicts if not each.kept]
    print("\n".join(f"lost: {each.words}" for each in lost))
    print(f"{asked.out}: damaged.json, damaged.md")
    return int(len(lost) > len(verdicts) / 100)


if __name__ == "__main__":
    sys.exit(main())
