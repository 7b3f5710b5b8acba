"""Kill -9 whatever grades a class, at random moments, until nothing is left to kill; then compare.

Each round grades the same small class in a fresh class folder, kills processes of all kinds while it runs,
starts the command again until it ends well, and holds gradebook, results, pages and notebooks against those
of a run that nobody disturbed. `make chaos ROUNDS=100` runs it; the counts go to build/chaos.json.
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from class_of_twenty import hand_in, make_course
from processes import KINDS, alive, strike
from state import differences, state_of

MOST_RUNS = 12
"""Starts of the command in one round; a class that needs more is not finished at all."""
RUN_SECONDS = 300


@dataclass
class Round:
    """What happened in one round.

    Attributes:
        kills: what was killed, and when in its run.
        runs: how often the command was started.
        differing: what differs from the undisturbed run.
        seconds: how long it took.
    """

    kills: list[tuple[str, float]] = field(default_factory=list)
    runs: int = 0
    differing: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Chaos:
    """A course with one class, and the state that grading it undisturbed leaves."""

    def __init__(self, root: Path, students: int | None, workers: int) -> None:
        self.root = root / "course"
        make_course(self.root)
        self.students = hand_in(self.root, students)
        self.command = [sys.executable, "-m", "grader.cli", "grade", "01-tiny", "--workers", str(workers)]
        self.output = root / "output.txt"
        began = time.monotonic()
        process = self.start()
        if process.wait() != 0:
            raise SystemExit(f"the undisturbed run failed:\n{self.output.read_text()[-3000:]}")
        self.seconds = time.monotonic() - began
        self.wanted = state_of(self.folder)
        self.submitted = root / "submitted"
        shutil.copytree(self.folder / "submitted", self.submitted)
        self.secret = (self.folder / ".secret").read_bytes()

    @property
    def folder(self) -> Path:
        return self.root / "class"

    def start(self) -> subprocess.Popen:
        """Start the command as its own group, as a shell would."""
        with self.output.open("ab") as output:
            return subprocess.Popen(
                self.command,
                cwd=self.root,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def play(self, chance: random.Random, strikes: int) -> Round:
        """One round: at most `strikes` kills, at moments spread over an undisturbed run's time."""
        result, began = Round(), time.monotonic()
        self._fresh_class()
        left = strikes
        while result.runs < MOST_RUNS:
            result.runs += 1
            process = self.start()
            started = time.monotonic()
            while left and process.poll() is None:
                left -= 1
                kind = chance.choice(KINDS)
                moment = chance.uniform(0.0, 0.8 * self.seconds)
                killed = _strike_at(process, kind, started + moment, chance)
                if killed:
                    result.kills.append((killed.split()[0], round(time.monotonic() - started, 2)))
            try:
                code = process.wait(RUN_SECONDS)
            except subprocess.TimeoutExpired:
                _end(process)
                result.differing = [f"the command did not end within {RUN_SECONDS} s"]
                break
            if code == 0:
                result.differing = differences(self.wanted, state_of(self.folder))
                break
        else:
            result.differing = [f"not finished after {MOST_RUNS} runs"]
        result.seconds = time.monotonic() - began
        return result

    def _fresh_class(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.submitted, self.folder / "submitted")
        secret = self.folder / ".secret"
        secret.write_bytes(self.secret)
        secret.chmod(0o600)


def _strike_at(process: subprocess.Popen, kind: str, moment: float, chance: random.Random) -> str:
    """Wait for the moment, then for a process of the kind, and kill it; nothing if the run ends before."""
    while time.monotonic() < moment:
        if process.poll() is not None:
            return ""
        time.sleep(0.005)
    while process.poll() is None:
        killed = strike(process.pid, kind, chance)
        if killed:
            return killed
        if kind == "server" and time.monotonic() > moment + 2:
            # a cold engine has none
            kind = "kernel"
        time.sleep(0.002)
    return ""


def _end(process: subprocess.Popen) -> None:
    for each in [process for group in alive(process.pid).values() for process in group]:
        try:
            os.kill(each.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def run(rounds: int, seed: int, students: int | None, workers: int, strikes: int, say: Any = print) -> dict[str, Any]:
    """Play the rounds and return the counts.

    Args:
        rounds: how many.
        seed: of kinds and moments.
        students: how many of the class hand in; all where it is None.
        workers: as of `course grade`.
        strikes: kills in each round.
        say: told a line after each round.
    """
    chance = random.Random(seed)
    kills: Counter[str] = Counter()
    equal, runs, failed = 0, 0, []
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        chaos = Chaos(Path(folder), students, workers)
        say(f"undisturbed: {len(chaos.students)} submissions in {chaos.seconds:.1f} s; seed {seed}")
        for number in range(1, rounds + 1):
            played = chaos.play(chance, strikes)
            kills.update(kind for kind, _ in played.kills)
            runs += played.runs
            equal += not played.differing
            said = ", ".join(f"{kind} at {moment:.2f} s" for kind, moment in played.kills) or "nothing"
            end = "equal" if not played.differing else f"DIFFERENT: {'; '.join(played.differing[:5])}"
            say(f"round {number}: killed {said}; {played.runs} runs, {played.seconds:.1f} s; {end}")
            if played.differing:
                failed.append({"round": number, "kills": played.kills, "differing": played.differing})
    return {
        "rounds": rounds,
        "equal": equal,
        "kills": {kind: kills[kind] for kind in KINDS},
        "kills in all": sum(kills.values()),
        "runs": runs,
        "submissions": len(chaos.students),
        "undisturbed seconds": round(chaos.seconds, 1),
        "seed": seed,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "different": failed,
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--students", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--strikes", type=int, default=3, help="kills in each round")
    parser.add_argument("--out", type=Path, default=Path("build/chaos.json"))
    given = parser.parse_args()

    def say(line: str) -> None:
        print(line, flush=True)

    counts = run(given.rounds, given.seed, given.students, given.workers, given.strikes, say)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(counts, indent=1) + "\n")
    print(f"{counts['equal']} of {counts['rounds']} rounds equal; kills: {counts['kills']}; see {given.out}")
    sys.exit(counts["equal"] != counts["rounds"])


if __name__ == "__main__":
    main()
