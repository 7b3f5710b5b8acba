"""Measure the library beside its peers, in one run, and say who is faster and by how much: `make bench`.

Each `rows_*.py` beside this file holds rows. A row is a job that the library and one or more peers do with the same
weights and the same outcome; its function prepares them, asserts that they agree, and returns them as callables.
Every row runs in a process of its own, with one thread. Contenders are shuffled inside each round, a round first
that does not count; the medians of their CPU seconds are compared (on a GPU: of synchronised wall seconds). A ratio
above 1 means that the library is faster. Nothing fails because of a time; a row fails when the outputs differ.
"""

import argparse
import importlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
}


@dataclass
class Contenders:
    """Who does the job, the library first under the name "byhand", and what to say about a peer's line."""

    run: dict[str, Callable[[], object]]
    notes: dict[str, str] = field(default_factory=dict)


@dataclass
class Finding:
    """A quality that was measured instead of a time: an error, a memory, a distance."""

    value: float
    goal: float | None = None
    lower_is_better: bool = True
    note: str = ""


@dataclass
class Row:
    """One job of the table: what it is, the goal against each peer, how often it is run, and what bounds it."""

    job: str
    goals: dict[str, float]
    rounds: int
    limit: str
    prepare: Callable[[], Any]


@dataclass
class Line:
    """One line of the table: a job against one peer."""

    job: str
    peer: str
    ratio: float
    goal: float | None
    reached: bool | None
    seconds: float | None = None
    peer_seconds: float | None = None
    note: str = ""
    limit: str = ""


ROWS: dict[str, Row] = {}


def row(
    job: str, goals: dict[str, float] | None = None, rounds: int = 7, limit: str = ""
) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Make a function a row of the table.

    Args:
        job: what is done, as the table shows it.
        goals: the ratio to reach against each peer, by the peer's name.
        rounds: how many counted rounds.
        limit: what bounds the ratio, when it is known.
    """

    def keep(prepare: Callable[[], Any]) -> Callable[[], Any]:
        ROWS[f"{prepare.__module__}:{prepare.__name__}"] = Row(job, goals or {}, rounds, limit, prepare)
        return prepare

    return keep


def seconds_of(job: Callable[[], object]) -> float:
    """The CPU seconds of one call, of all threads; where a GPU works, wall seconds until it is done."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()
        start = time.perf_counter()
        job()
        torch.cuda.synchronize()
        return time.perf_counter() - start
    start = time.process_time()
    job()
    return time.process_time() - start


def medians(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median seconds of each contender over `rounds` rounds in shuffled order, one uncounted round first."""
    rng = random.Random(0)
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in rng.sample(list(contenders), len(contenders)):
            seconds = seconds_of(contenders[name])
            if number:
                spent[name].append(seconds)
    return {name: statistics.median(times) for name, times in spent.items()}


def measure(row: Row, rounds: int | None = None) -> list[Line]:
    """Prepare a row, run it and compare: a line for each peer."""
    made = row.prepare()
    if isinstance(made, Finding):
        ((peer, _),) = row.goals.items() or [("", 0.0)]
        reached = None
        if made.goal is not None:
            reached = made.value <= made.goal if made.lower_is_better else made.value >= made.goal
        return [Line(row.job, peer, made.value, made.goal, reached, note=made.note, limit=row.limit)]
    made = made if isinstance(made, Contenders) else Contenders(made)
    spent = medians(made.run, min(rounds or row.rounds, row.rounds))
    mine = spent.pop("byhand")
    lines = []
    for peer, theirs in spent.items():
        goal = row.goals.get(peer)
        ratio = theirs / mine
        reached = None if goal is None else ratio >= goal
        lines.append(Line(row.job, peer, ratio, goal, reached, mine, theirs, made.notes.get(peer, ""), row.limit))
    return lines


def load_rows(folder: Path = HERE) -> dict[str, Row]:
    """Import every rows_*.py of a folder; what they registered, in the order of their files."""
    sys.path.insert(0, str(folder))
    # A row file imports `measure`; run as a script, this module is `__main__` and must not be loaded twice.
    sys.modules.setdefault("measure", sys.modules[__name__])
    for path in sorted(folder.glob("rows_*.py")):
        importlib.import_module(path.stem)
    return ROWS


def run_apart(name: str, folder: Path, rounds: int | None) -> list[Line] | str:
    """Measure one row in a process of its own: its lines, or the end of what it said when it failed."""
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "lines.json"
        command = [sys.executable, __file__, "--folder", str(folder), "--row", name, "--answer", str(answer)]
        command += ["--rounds", str(rounds)] if rounds else []
        done = subprocess.run(
            command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, cwd=ROOT, check=False
        )
        if done.returncode or not answer.is_file():
            return "\n".join((done.stderr or done.stdout).strip().splitlines()[-6:])
        return [Line(**line) for line in json.loads(answer.read_text(encoding="utf-8"))]


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    import torch

    model = platform.processor() or platform.machine()
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = next(line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": f"{model}, {os.cpu_count()} cores, one thread used",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def as_markdown(lines: list[Line], failed: dict[str, str]) -> str:
    """The table as the book shows it."""
    out = ["| job | peer | ratio | goal | reached | note |", "|---|---|---|---|---|---|"]
    for line in lines:
        goal = "" if line.goal is None else f"{line.goal:g}"
        reached = {None: "", True: "yes", False: "**no**"}[line.reached]
        note = "; ".join(filter(None, [line.note, line.limit]))
        out.append(f"| {line.job} | {line.peer} | {line.ratio:.3g} | {goal} | {reached} | {note} |")
    out += [f"| {job} | | failed | | **no** | {why.splitlines()[-1]} |" for job, why in failed.items()]
    return "\n".join(out) + "\n"


def draw(lines: list[Line], path: Path) -> None:
    """The ratios as a figure: a dot each on a logarithmic axis, the goal as a tick, 1 as a line."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench"})
    timed = [line for line in lines if line.seconds is not None][::-1]
    figure, axes = plt.subplots(figsize=(8, 0.24 * len(timed) + 1.2), layout="constrained")
    axes.axvline(1, color="0.6", linewidth=1)
    for place, line in enumerate(timed):
        colour = {None: "#4c72b0", True: "#2a7f3f", False: "#c44e52"}[line.reached]
        axes.plot([1, line.ratio], [place, place], color=colour, linewidth=1.5)
        axes.plot(line.ratio, place, "o", color=colour)
        if line.goal is not None:
            axes.plot(line.goal, place, "|", color="black", markersize=12)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.set_ylim(-0.6, len(timed) - 0.4)
    axes.set_yticks(range(len(timed)), [f"{line.job}: {line.peer}" for line in timed], fontsize=8)
    axes.set_xlabel("times as fast as the peer (tick: the goal)")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def show(results: Iterator[tuple[Row, list[Line] | str]], count: int) -> tuple[list[Line], dict[str, str]]:
    """Print each row as soon as it is measured; all lines, and the rows that failed with their last words."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console()
    lines: list[Line] = []
    failed: dict[str, str] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=count)
        for measured, outcome in results:
            if isinstance(outcome, str):
                failed[measured.job] = outcome
                console.print(f"[red]{measured.job}: failed[/]\n{outcome}", highlight=False)
            else:
                for line in outcome:
                    mark = {None: " ", True: "[green]✓[/]", False: "[red]✗[/]"}[line.reached]
                    goal = "" if line.goal is None else f"(goal {line.goal:g})"
                    times = "" if line.seconds is None else f"{line.seconds:.4g} s / {line.peer_seconds:.4g} s"
                    console.print(
                        f"{mark} {line.job} : {line.peer}  [bold]{line.ratio:.3g}[/] {goal} {times} {line.note}"
                    )
                lines += outcome
            progress.advance(task)
    return lines, failed


def main() -> int:
    """Measure the rows that were asked for; 1 when one failed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("only", nargs="*", help="measure only rows whose job or file contains one of these words")
    parser.add_argument("--rounds", type=int, help="fewer counted rounds than each row asks for")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="folder for table, JSON and figure")
    parser.add_argument("--folder", type=Path, default=HERE, help=argparse.SUPPRESS)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    rows = load_rows(asked.folder)
    if asked.row:
        lines = [asdict(line) for line in measure(rows[asked.row], asked.rounds)]
        asked.answer.write_text(json.dumps(lines), encoding="utf-8")
        return 0
    chosen = {
        name: each
        for name, each in rows.items()
        if not asked.only or any(word.lower() in f"{name} {each.job}".lower() for word in asked.only)
    }
    if not chosen:
        parser.error(f"no row contains {' or '.join(asked.only)}; there are: {', '.join(r.job for r in rows.values())}")
    results = ((each, run_apart(name, asked.folder, asked.rounds)) for name, each in chosen.items())
    lines, failed = show(results, len(chosen))
    asked.out.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine(), "lines": [asdict(line) for line in lines], "failed": failed}
    (asked.out / "bench.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (asked.out / "bench.md").write_text(as_markdown(lines, failed), encoding="utf-8")
    draw(lines, asked.out / "bench.svg")
    print(f"\n{asked.out}: bench.json, bench.md, bench.svg")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
