"""Silence, kill and exit at every code cell of every chapter: no score rises. `make endings`."""

import argparse
import functools
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.course import load_course
from grader.execution.run import execute

from .comparing import Points, earned, planned, prepared
from .light import ONE_PARSER, light
from .making import as_file
from .sheet import grade_id, text
from .undamaged import ROOT, Material, Undamaged, fresh, load_material

ENDINGS = {
    "os._exit(0)": "import os\nos._exit(0)",
    "sys.exit()": "import sys\nsys.exit(0)",
    "kill -9": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "kill everything": "import os, signal\nos.kill(-1, signal.SIGTERM)",
    "silence": (
        "import os, sys\nfrom IPython import get_ipython\n"
        "get_ipython().showtraceback = lambda *args, **kwargs: None\n"
        "sys.stderr = open(os.devnull, 'w')\nsys.stdout.close()\nos.close(1)\n"
    ),
}
PLACES = ("at the beginning of", "behind")


@dataclass(frozen=True)
class Ended:
    """One submission that ends somewhere."""

    ending: str
    place: str
    cell: str
    data: bytes

    @property
    def words(self) -> str:
        return f"{self.ending} {self.place} {self.cell}"


def half_right(material: Material) -> Undamaged:
    """The submission with the most to lose and to gain: of several exercises some right and some wrong."""
    return material.submissions[2]


def every_ending(material: Material) -> Iterator[Ended]:
    """Each ending at each code cell, at the beginning of it and in a cell of its own behind it."""
    submission = half_right(material)
    for number, cell in enumerate(submission.notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        name = grade_id(cell) or cell["id"]
        for ending, source in ENDINGS.items():
            notebook = fresh(submission)
            notebook["cells"][number]["source"] = f"{source}\n{text(cell)}"
            yield Ended(ending, PLACES[0], name, as_file(notebook))
            notebook = fresh(submission)
            notebook["cells"].insert(number + 1, _own(source))
            yield Ended(ending, PLACES[1], name, as_file(notebook))


def _own(source: str) -> dict[str, Any]:
    cell = {"cell_type": "code", "execution_count": None, "id": "own", "metadata": {}, "outputs": []}
    return {**cell, "source": source}


def points_of(material: Material, data: bytes) -> Points:
    """What a submission earns; the cases are the same for all."""
    with ONE_PARSER:
        ready = planned(material.assignment, prepared(material.assignment, data))
    return earned(material.assignment, ready, lambda plan: execute(light(plan, material.assignment)))


def main() -> int:
    """Run all of them, print a table, and name each score that rose; 1 when there is one."""
    from rich.progress import track

    parser = argparse.ArgumentParser(prog="make endings", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every so many, for a look")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "endings")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for chapter in load_course(ROOT).chapters:
        material = load_material(chapter.id)
        before = points_of(material, as_file(half_right(material).notebook))
        ended = list(every_ending(material))[:: asked.every]
        with ThreadPoolExecutor(asked.workers) as pool:
            after = pool.map(functools.partial(points_of, material), [each.data for each in ended])
            for each, points in zip(ended, track(after, chapter.id, total=len(ended)), strict=True):
                rose = [label for label in points if points[label] > before[label]]
                lost = sum(before.values()) - sum(points.values())
                row = {"chapter": chapter.id, "ending": each.ending, "where": each.words, "rose": rose, "lost": lost}
                rows.append(row)
    print(as_markdown(rows))
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "endings.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    rose = [row for row in rows if row["rose"]]
    print("\n".join(f"rose: {row['chapter']}: {row['where']}: {', '.join(row['rose'])}" for row in rose))
    return int(bool(rose))


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The table: each ending, how often it was tried, how often a score rose, what it cost."""
    lines = ["| ending | places | a score rose | nothing lost |", "|---|---:|---:|---:|"]
    for ending in ENDINGS:
        some = [row for row in rows if row["ending"] == ending]
        rose, same = sum(bool(row["rose"]) for row in some), sum(row["lost"] == 0 for row in some)
        lines.append(f"| {ending} | {len(some)} | {rose} | {same} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
