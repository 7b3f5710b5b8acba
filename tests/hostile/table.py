"""`make hostile`: the bank under this engine and under stock nbgrader, as a table, a JSON file and a page.

Stock needs a kernel for each submission, so all of it takes half an hour on two cores. Words after
`python -m tests.hostile.table` choose kinds, such as `forge`; `--without-stock` leaves stock out.
"""

import argparse
import collections
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from grader.files import write_whole
from tests.hostile.submissions.bank import BANK
from tests.hostile.submissions.classroom import NEIGHBOURS, Afternoon, faults, grade_bank, worth_of
from tests.hostile.submissions.entry import Entry
from tests.hostile.submissions.evidence import remove
from tests.hostile.submissions.lesson import COURSE, light_assignment, small_assignment
from tests.hostile.submissions.stock import Gain, under_stock

BUILD = COURSE.root / "build"
PAGE = COURSE.root / "book" / "making" / "hostile.md"

HEAD = """# Hostile submissions

The bank in `tests/hostile/submissions`: whole submissions that try to gain points, to learn what is hidden,
or to do harm. Each was graded with `course grade`'s engine beside honest neighbours, and under stock
`nbgrader autograde` beside it. This page is written by `make hostile`.

"""


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(prog="make hostile", description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", help="beginnings of kinds; all of them without")
    parser.add_argument("--without-stock", action="store_true")
    options = parser.parse_args()
    bank = [entry for entry in BANK if not options.kinds or entry.kind.startswith(tuple(options.kinds))]
    kept = BUILD / "hostile.json"
    before = json.loads(kept.read_text())["entries"] if kept.is_file() else {}
    root = Path(tempfile.mkdtemp(prefix="hostile-"))
    stock: dict[str, Gain] = {}
    try:
        afternoons = _here(root / "here", bank)
        others = _others(afternoons)
        # kept after each group, so that an end in the middle costs one of them
        for gains in [{}] if options.without_stock else _there(root / "stock", bank):
            stock |= gains
            rows = [_row(entry, afternoons, stock, before) for entry in bank]
            every = before | {row["name"]: row for row in rows}
            write_whole(kept, json.dumps({"entries": every, "others": others}, indent=1))
    finally:
        remove(root)
    _print(rows, others)
    written = [every[entry.name] for entry in BANK if entry.name in every]
    if len(written) == len(BANK):
        PAGE.write_text(page(written), encoding="utf-8")


def _here(root: Path, bank: Sequence[Entry]) -> list[Afternoon]:
    from grader.execution.workers import execute_all

    with _progress() as progress:
        task = progress.add_task("this engine", total=len(bank) + len(NEIGHBOURS) * len({e.full for e in bank}))
        return grade_bank(
            root, bank, lambda plans: execute_all(plans, workers=2), lambda graded: progress.advance(task)
        )


def _there(root: Path, bank: Sequence[Entry]) -> Iterator[dict[str, Gain]]:
    with _progress() as progress:
        task = progress.add_task("stock nbgrader", total=len(bank))
        for full, assignment in ((True, light_assignment()), (False, small_assignment())):
            groups = collections.defaultdict(list)
            for entry in bank:
                if entry.full == full:
                    groups[entry.name if entry.alone else entry.kind].append(entry)
            for number, entries in enumerate(groups.values()):
                folder = root / f"{full}-{number}"
                yield under_stock(folder, entries, assignment, lambda name: progress.advance(task))


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def _row(
    entry: Entry, afternoons: Sequence[Afternoon], stock: dict[str, Gain], before: dict[str, Any]
) -> dict[str, Any]:
    afternoon = next(each for each in afternoons if entry.folder in each.found)
    gain = stock.get(entry.name)
    there = {**asdict(gain), "words": gain.words} if gain else before.get(entry.name, {}).get("stock")
    found = afternoon.found[entry.folder]
    return {
        "name": entry.name,
        "kind": entry.kind,
        "tries": entry.tries,
        "here": faults(afternoon, entry),
        "seconds": found.seconds,
        "stock": there or {"points": 0.0, "secret": "", "harm": "", "tried": False, "words": "not run"},
    }


def _others(afternoons: Sequence[Afternoon]) -> list[str]:
    """What happened to neighbours and to the machine."""
    words = [trace for afternoon in afternoons for trace in afternoon.traces]
    words += ["something got through to the network" for afternoon in afternoons if afternoon.visitors]
    for afternoon in afternoons:
        for name, found in afternoon.neighbours.items():
            if found.points != worth_of(afternoon) or found.leaks:
                words.append(f"{name} got {found.points} and {found.leaks}")
    return words


def summary(rows: Sequence[dict[str, Any]]) -> list[tuple[str, int, str, str]]:
    """By kind: kind, entries, what they gained under stock, and here."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(row["kind"], []).append(row)
    lines = [(kind, len(group), _under_stock(group), _under_ours(group)) for kind, group in kinds.items()]
    return [*lines, ("all", len(rows), _under_stock(rows), _under_ours(rows))]


def _under_stock(group: Sequence[dict[str, Any]]) -> str:
    tried = [row["stock"] for row in group if row["stock"]["tried"]]
    counts = {
        "gained points": sum(gain["points"] > 0 for gain in tried),
        "read secrets": sum(bool(gain["secret"]) for gain in tried),
        "stopped the batch": sum(gain["harm"].startswith("the batch") for gain in tried),
        "not graded": sum(gain["harm"].startswith(("not graded", "skipped")) for gain in tried),
        "did other harm": sum(gain["harm"].startswith(("the neigh", "a process", "files", "gets")) for gain in tried),
        "not run": len(group) - len(tried),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing"


def _under_ours(group: Sequence[dict[str, Any]]) -> str:
    count = sum(bool(row["here"]) for row in group)
    return f"{count} gain something" if count else "nothing"


def _print(rows: Sequence[dict[str, Any]], others: Sequence[str]) -> None:
    table = Table("kind", "entries", "under stock nbgrader", "here")
    for kind, count, stock, ours in summary(rows):
        table.add_row(kind, str(count), stock, ours)
    console = Console()
    console.print(table)
    for row in rows:
        for fault in row["here"]:
            console.print(f"✗ {row['name']}: {fault}", style="red")
    for words in others:
        console.print(f"✗ {words}", style="red")


def page(rows: Sequence[dict[str, Any]]) -> str:
    """The page: the summary, then each entry in two lines, so that it fits a phone."""
    parts = [HEAD, "| kind | entries | under stock | here |\n| --- | --: | --- | --- |\n"]
    parts += [f"| {kind} | {count} | {stock} | {ours} |\n" for kind, count, stock, ours in summary(rows)]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        parts.append(f"\n## {kind[0].upper()}{kind[1:]}\n\n")
        for row in rows:
            if row["kind"] == kind:
                ours = "nothing" if not row["here"] else "; ".join(row["here"])
                parts.append(f"- **{_plain(row['name'])}.** {_plain(row['tries'])}\n")
                parts.append(f"  Stock: {_plain(row['stock']['words'])}. Here: {_plain(ours)}.\n")
    return "".join(parts)


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is, breakable on a narrow page."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    for letter in "\\`*_{}[]<>$|#~":
        shown = shown.replace(letter, f"\\{letter}")
    return shown


if __name__ == "__main__":
    main()
