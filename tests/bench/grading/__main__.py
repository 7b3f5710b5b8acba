"""Measure the grading engine beside stock nbgrader: `make grade-bench`.

Everything is graded from nothing in folders of its own, with one thread. Nothing fails because of a time; a run fails
when a side gives a right submission other than full marks, or when a second run changes a score.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from grader.files import write_whole

from .against_stock import Comparison, as_markdown, compare
from .classes import ROOT, subjects
from .figure import draw_memory
from .isolation import isolation_costs
from .thousands import grade_thousands

PARTS = ("stock", "isolation", "thousands")


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": f"{model}, {os.cpu_count()} cores",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("nbgrader", "distributed", "torch", "sentence-transformers")},
    }


def main() -> int:
    """Measure the parts that were asked for and write them beside those measured before."""
    parser = argparse.ArgumentParser(prog="make grade-bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--sizes", type=int, nargs=2, default=(12, 60), metavar="N", help="submissions of the batches")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--class-size", type=int, default=10_000)
    parser.add_argument("--only", nargs="*", help="notebooks by name")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "grade-bench")
    asked = parser.parse_args()
    parts = asked.parts or PARTS
    if not set(parts) <= set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}")
    out = asked.out / "grading.json"
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    found["machine"] = machine()

    def tell(words: str) -> None:
        print(words, file=sys.stderr, flush=True)

    def keep() -> None:
        write_whole(out, json.dumps(found, indent=1, ensure_ascii=False) + "\n")

    with tempfile.TemporaryDirectory(prefix="grade-bench-") as name:
        folder = Path(name)
        notebooks = [each for each in subjects(folder) if not asked.only or each.name in asked.only]
        if "stock" in parts:
            names = [each.name for each in notebooks]
            others = [each for each in found.get("against stock", ()) if each["subject"] not in names]
            compared = {each.name: Comparison(each.name, each.words, tuple(asked.sizes)) for each in notebooks}
            for number in range(asked.rounds):
                for subject in notebooks:
                    compare(compared[subject.name], subject, number, folder / "rooms", tell)
                    measured = [each.summary() for each in compared.values() if each.costs]
                    found["against stock"] = [*others, *measured]
                    keep()
        if "isolation" in parts:
            found["isolation"] = [isolation_costs(subject, 5 * asked.rounds) for subject in notebooks[:2]]
            keep()
        if "thousands" in parts:
            found["thousands"] = grade_thousands(notebooks[0], asked.class_size, folder / "thousands", tell)
            keep()
    if "against stock" in found:
        write_whole(asked.out / "grading.md", as_markdown(found["against stock"]))
        print(as_markdown(found["against stock"]))
    if "thousands" in found:
        draw_memory(found["thousands"], asked.out / "grading.svg")
    print(f"{asked.out}: grading.json, grading.md, grading.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
