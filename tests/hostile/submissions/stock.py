"""The bank under stock `nbgrader autograde`, one kernel a submission and the hidden checks in it.

Stock has no sandbox, so all of it runs in one of ours that stands for a teacher's machine: the course can be
read, the class folder and a home can be written, nothing else of this machine can be reached.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.grading.assignment import Assignment
from grader.grading.classroom import programs_on_path
from grader.grading.recording import register

from .bait import Bait, hand_in
from .classroom import CANARY
from .entry import Entry
from .evidence import leaks_of, remove, scores_of, secrets_of
from .lesson import CHAPTER, COURSE, ROBBED, points

LAST = "zzz-last"
"""The neighbour who is graded after everyone else."""

PATIENCE = 150
"""Seconds without a finished submission after which a batch hangs."""

USER = 4242

CONFIG = """
import os
c = get_config()
os.environ["COURSE_ROOT"] = {course!r}
os.environ["PYTHONPATH"] = {library!r}
c.CourseDirectory.root = {root!r}
c.CourseDirectory.course_id = "stock"
c.Execute.timeout = {seconds}
c.Execute.shutdown_kernel = "immediate"
c.Exchange.root = {root!r}
"""

INSIDE = """
import contextlib, json, os, pathlib, socket, subprocess, sys, threading
root, port, mark = sys.argv[1:4]
visitors = []
listener = socket.create_server(("127.0.0.1", int(port)))
def wait():
    while True:
        visitors.append(listener.accept())
threading.Thread(target=wait, daemon=True).start()
done = subprocess.run([sys.executable, "-m", "nbgrader", "autograde", "01-lm-basics"], cwd=root, capture_output=True)
alive = []
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    with contextlib.suppress(OSError):
        text = path.read_bytes()
        if mark.encode() in text and b"import contextlib" not in text: alive.append(path.parent.name)
places = [root, os.environ["HOME"], os.path.dirname(root), "/tmp", "/dev/shm"]
left = [str(path) for place in places for path in pathlib.Path(place).glob(f"*{mark}*")]
said = {"code": done.returncode, "visitors": len(visitors), "alive": alive, "left": left}
pathlib.Path(root, "said.json").write_text(json.dumps(said))
"""


@dataclass
class Gain:
    """What one submission gained under stock nbgrader.

    Attributes:
        points: beyond those of its honest part.
        secret: what hidden thing came out, if any.
        harm: what it did to the batch, to neighbours or to the machine, if anything.
        tried: false where it was not run.
    """

    points: float = 0.0
    secret: str = ""
    harm: str = ""
    tried: bool = True

    @property
    def words(self) -> str:
        """All of it in a few words."""
        parts = [f"+{self.points:g} points" if self.points > 0 else "", self.secret, self.harm]
        return ", ".join(part for part in parts if part) or ("nothing" if self.tried else "not run")


@dataclass
class Batch:
    """A class folder for stock nbgrader."""

    root: Path
    assignment: Assignment
    entries: Sequence[Entry]
    bait: Bait = field(init=False)

    def prepare(self) -> None:
        """Hand in, register the assignment, write a configuration without anything of ours."""
        import socket

        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.bait = Bait(self.root, port)
        robbed = [ROBBED] if any(entry.kind.startswith("folder") for entry in self.entries) else []
        classroom = hand_in(self.bait, self.entries, self.assignment, [*robbed, LAST])
        (classroom.root / ".secret").write_text("a" * 64 + "\n")
        programs_on_path()
        register(classroom, self.assignment, "stock")
        # loops end soon; elsewhere a slow import on a busy machine must not look like one
        seconds = 8 if all("cell_seconds" in entry.budget for entry in self.entries) else 60
        (classroom.root / "nbgrader_config.py").write_text(
            CONFIG.format(
                course=str(COURSE.root),
                library=str(COURSE.library_root),
                root=str(classroom.root),
                seconds=seconds,
            )
        )
        for path in (self.root, *self.root.parents):
            if path.stat().st_uid == os.geteuid() and path != Path("/"):
                path.chmod(path.stat().st_mode | 0o055)
            if path == Path("/tmp"):
                break
        if os.geteuid() == 0:
            subprocess.run(["chown", "-Rh", f"{USER}:{USER}", str(self.root)], check=True)

    def run(self) -> tuple[dict[str, object], bool]:
        """Run the batch; what the machine looked like afterwards, and whether it hung."""
        classroom, began = self.bait.classroom, time.monotonic()
        process = subprocess.Popen(
            self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        last, count, hung = began, -1, False
        while process.poll() is None:
            time.sleep(0.5)
            now = sum(1 for _ in classroom.glob("autograded/*/*/*.ipynb"))
            if now != count:
                last, count = time.monotonic(), now
            if time.monotonic() - last > PATIENCE:
                hung = True
                process.kill()
        process.wait()
        with contextlib.suppress(OSError, ValueError):
            return json.loads((classroom / "said.json").read_text()), hung
        return {}, hung

    def command(self) -> list[str]:
        """The outer sandbox: a teacher's machine."""
        home, python = str(self.bait.home), str(Path(sys.base_prefix).resolve())
        words = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--size", str(64 << 20)]
        words += ["--tmpfs", "/dev/shm", "--size", str(64 << 20), "--perms", "1777", "--tmpfs", "/tmp"]
        if os.geteuid() == 0:
            # Python may be installed in root's home
            words += ["--perms", "0755", "--tmpfs", "/root"]
            for parent in reversed(Path(python).parents):
                words += ["--perms", "0755", "--dir", str(parent)] if parent.is_relative_to("/root") else []
            words += ["--ro-bind", python, python] if Path(python).is_relative_to("/root") else []
        for folder in (COURSE.root, self.root):
            for parent in reversed(folder.parents):
                # bubblewrap by itself makes the folders above a mount for their owner alone
                words += ["--perms", "0755", "--dir", str(parent)] if parent.is_relative_to("/tmp/") else []
        words += ["--ro-bind", str(COURSE.root), str(COURSE.root)]
        words += [
            "--bind",
            str(self.root),
            str(self.root),
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-net",
            "--unshare-uts",
        ]
        words += [
            "--die-with-parent",
            "--new-session",
            "--setenv",
            "HOME",
            home,
            "--setenv",
            CANARY,
            self.bait.canary("environment"),
        ]
        words += [
            "--setenv",
            "PYTHONDONTWRITEBYTECODE",
            "1",
            "--setenv",
            "OMP_NUM_THREADS",
            "1",
            "--setenv",
            "IPYTHONDIR",
            f"{home}/.ipython",
        ]
        words += ["--setenv", "PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin", "--"]
        if os.geteuid() == 0:
            words += ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
            words += ["prlimit", "--nproc=150", "--as=6000000000", "--fsize=50000000", "--core=0"]
        return [*words, sys.executable, "-c", INSIDE, str(self.bait.classroom), str(self.bait.port), self.bait.mark]


def under_stock(
    root: Path, entries: Sequence[Entry], assignment: Assignment, tell: Callable[[str], None]
) -> dict[str, Gain]:
    """Grade entries with stock nbgrader; what ends or blocks a batch is found, and the others run again.

    Args:
        root: an empty folder.
        entries: what is handed in.
        assignment: what is graded.
        tell: told of each submission that is done.
    """
    gains = {entry.name: Gain(tried=False) for entry in entries if entry.stock}
    waiting = sorted((entry for entry in entries if not entry.stock), key=lambda entry: entry.folder)
    number = 0
    while waiting:
        number += 1
        batch = Batch(root / f"batch-{number}", assignment, waiting)
        batch.prepare()
        said, hung = batch.run()
        done, culprit = _examine(batch, said, hung)
        gains |= done
        for name in done:
            tell(name)
        waiting = [entry for entry in waiting if entry.name not in gains]
        if waiting and not culprit and not done:
            gains |= {entry.name: Gain(harm="skipped, nobody is told") for entry in waiting}
            waiting = []
        remove(batch.root)
    return gains


def _examine(batch: Batch, said: dict[str, object], hung: bool) -> tuple[dict[str, Gain], str]:
    """What those gained who were graded, and who ended the batch."""
    bait = batch.bait
    scores = {}
    with contextlib.suppress(Exception):
        scores = scores_of(f"sqlite:///{bait.classroom / 'gradebook.db'}")
    ended_early = hung or not said or LAST not in scores
    worth, gains, culprit = points(), {}, ""
    if len(batch.entries) > 1 and not ended_early and not any(scores[LAST].values()):
        raise RuntimeError("stock nbgrader gave the honest neighbour nothing: it does not work here")
    hidden = {}
    with contextlib.suppress(OSError):
        hidden = secrets_of(bait)
    for entry in batch.entries:
        written = (bait.classroom / "autograded" / entry.folder / CHAPTER.id).is_dir()
        earned = scores.get(entry.folder)
        if earned is None or (not written and not any(earned.values())):
            if ended_early and not culprit:
                culprit = entry.name
                gains[entry.name] = Gain(harm="the batch hangs" if hung else "the batch ends")
            elif not ended_early:
                gains[entry.name] = Gain(harm="not graded")
            continue
        if culprit:
            continue
        more = sum(max(got - (worth[label] if label in entry.most else 0), 0) for label, got in earned.items())
        secret = leaks_of(bait.classroom, entry.folder, hidden)
        gains[entry.name] = Gain(points=more, secret=_short(secret))
    if len(batch.entries) == 1:
        _machine(batch, gains, said, scores)
    return gains, culprit


def _machine(
    batch: Batch, gains: dict[str, Gain], said: dict[str, object], scores: dict[str, dict[str, float]]
) -> None:
    """What a submission that ran alone did to the neighbour and to the machine."""
    gain = gains.setdefault(batch.entries[0].name, Gain())
    harm = [gain.harm] if gain.harm else []
    last = scores.get(LAST, {})
    full = sum(exercise.points for exercise in batch.assignment.exercises)
    if last and sum(last.values()) != full:
        harm.append("the neighbour's points change")
    if said.get("alive"):
        harm.append("a process stays")
    if said.get("left"):
        harm.append("files stay")
    if said.get("visitors"):
        harm.append("gets out")
    gain.harm = ", ".join(harm)


def _short(leaks: Sequence[str]) -> str:
    names = sorted({leak.split(" holds ")[1].split(":")[0] for leak in leaks})
    return f"reads {', '.join(names)}" if names else ""
