"""The program that runs inside the sandbox: runs a submission's cells, then the probes, and reports line by
line.

It is sent in as text (`grader.execution.box`) with `wire.py` and `shell.py`, imports nothing of the grader,
and holds nothing that decides a score. The student's code shares this process and may take it over: all it
can do here is answer, and answers are judged elsewhere.

Lines in, JSON: the settings; the cells; then, after every output has left, one line for each exercise to
probe. Lines out, a letter and JSON: `S` started, `C` a finished cell; and with the number of the exercise and
of the case before the JSON, `A` an encoded answer, `E` a probe that raised.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import sys
from collections.abc import Iterator
from typing import Any

SEEDED = {"numpy.random": ("seed", 2**32), "torch": ("manual_seed", 2**63)}
"""By module, the function that seeds its generator, and the seeds that it takes."""


class TimeLimit(BaseException):
    """The running cell or probe has used its time. Not an `Exception`, which is often caught."""


class Report:
    """The way out: a private copy of the process's first stdout."""

    def __init__(self) -> None:
        self.fd = os.dup(1)
        # looked up once: a student who replaces os.write or json.dumps breaks no honest line by accident
        self.write, self.dumps, self.pid = os.write, json.dumps, os.getpid()

    def send(self, kind: str, payload: bytes) -> None:
        """Send one line."""
        if os.getpid() != self.pid:
            # a child that the student's code forked and that came back from its cell
            os._exit(0)
        data = kind.encode() + payload + b"\n"
        while data:
            data = data[self.write(self.fd, data) :]

    def send_json(self, kind: str, value: Any) -> None:
        """Send one line of JSON."""
        self.send(kind, self.dumps(value, default=str).encode())


class Student:
    """What a probe sees: the names it uses, as they were when the exercise's cell was done."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        raise NameError(f"the name `{name}` is not defined")


def limit(settings: dict[str, Any]) -> None:
    """Put the limits on this process and all it will start; hard ones, which cannot be raised again."""
    for name, value in settings["limits"].items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))


def lay_out(settings: dict[str, Any]) -> None:
    """Lay out the writable folder."""
    scratch = pathlib.Path(settings["scratch"])
    fonts = pathlib.Path(settings["library"]) / ".matplotlib"
    for name in ("work", "home/.ipython", "home/.matplotlib", "tmp"):
        (scratch / name).mkdir(parents=True, exist_ok=True)
    if fonts.is_dir():
        # matplotlib's list of fonts takes seconds to make in a new home
        for path in fonts.iterdir():
            (scratch / "home/.matplotlib" / path.name).symlink_to(path)
    beside = pathlib.Path(settings["library"]) / ".beside"
    if beside.is_dir():
        # without the modes of those files, which are read-only
        shutil.copytree(beside, scratch / "work", copy_function=shutil.copyfile, dirs_exist_ok=True)
    os.chdir(scratch / "work")


def narrow_path(settings: dict[str, Any]) -> None:
    """Leave on the path the library slice and what is installed with Python."""
    # an editable install would lead around the slice to the whole library
    sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
    installed = [path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix))]
    sys.path[:] = [settings["library"], *installed]
    if (pathlib.Path(settings["library"]) / ".beside").is_dir():
        sys.path.insert(0, str(pathlib.Path.cwd()))
    for name in [name for name in sys.modules if name.partition(".")[0] in settings["packages"]]:
        del sys.modules[name]


def seed_everything(seed: int) -> None:
    """Seed the generators of the modules that are loaded."""
    random.seed(seed)
    for name in SEEDED:
        seed_module(name, seed)


def seed_module(name: str, seed: int) -> None:
    """Seed the generator of one module, if it is there."""
    function, largest = SEEDED[name]
    # a module whose import has failed or is going on has no such function
    if hasattr(sys.modules.get(name), function):
        getattr(sys.modules[name], function)(seed % largest)


class SeedOnImport:
    """A finder that seeds numpy's and torch's generators as soon as they exist, whoever imports them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.waiting = set(SEEDED) - set(sys.modules)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find the module as usual, and seed after it has run."""
        if name not in self.waiting:
            return None
        self.waiting.discard(name)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_and_seed(module: Any) -> None:
            run(module)
            seed_module(name, self.seed)

        spec.loader.exec_module = run_and_seed  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def time_limit(seconds: float, words: str, stopped: list[str]) -> Iterator[None]:
    """Raise TimeLimit after `seconds` and note it in `stopped`. Code that evades it is killed outside."""

    def ring(*_: Any) -> None:
        stopped.append("time")
        raise TimeLimit(words)

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Session:
    """One submission in this process."""

    def __init__(self, settings: dict[str, Any], wire: Any, shell: Any, outputs: Any, report: Report) -> None:
        self.settings, self.wire, self.shell, self.outputs, self.report = settings, wire, shell, outputs, report
        self.remembered: dict[str, dict[str, Any]] = {}

    def run_cell(self, cell: dict[str, Any]) -> None:
        """Run one cell, remember what its exercise's probe will use, report its outputs."""
        seconds = self.settings["cell_seconds"]
        stopped: list[str] = []
        limited = time_limit(seconds, f"this cell ran longer than {seconds:g} s", stopped)
        with contextlib.suppress(BaseException), limited:
            done = self.shell.run_cell(cell["source"], store_history=True)
            self.shell.let_go(done.error_in_exec)
        names = {name: self.shell.user_ns[name] for name in cell["captures"] if name in self.shell.user_ns}
        if cell["exercise"]:
            self.remembered.setdefault(cell["exercise"], {}).update(names)
        seen = {"cell": cell["index"], "stopped": stopped, "outputs": self.outputs.take()}
        self.report.send_json("C", seen)

    def probe(self, request: dict[str, Any]) -> None:
        """Call one exercise's probe for each of its cases and report the answers."""
        remembered = self.remembered.get(request["exercise"], {})
        now = {name: self.shell.user_ns[name] for name in request["uses"] if name in self.shell.user_ns}
        student = Student({**now, **remembered})
        seconds = self.settings["check_seconds"]
        asked, stopped = 0, list[str]()
        self.outputs.muted = True
        try:
            with time_limit(seconds, f"the check ran longer than {seconds:g} s", stopped):
                namespace: dict[str, Any] = {}
                exec(compile(request["source"], "<check>", "exec"), namespace)  # noqa: S102
                for inputs in request["inputs"]:
                    self.answer(f"{request['number']} {asked} ", namespace["probe"], student, inputs, stopped)
                    asked += 1
        except BaseException as error:
            for case in range(asked, len(request["inputs"])):
                self.report.send_json(f"E{request['number']} {case} ", describe(error))
        self.outputs.take()

    def answer(self, place: str, probe: Any, student: Student, inputs: str, stopped: list[str]) -> None:
        """Report the answer to one case, or what was raised; a time limit ends the whole exercise instead."""
        try:
            seed_everything(self.settings["seed"])
            answer = self.wire.encode(probe(student, self.wire.decode(inputs.encode())))
        except BaseException as error:
            if stopped:
                raise
            self.report.send_json(f"E{place}", describe(error))
        else:
            self.report.send(f"A{place}", answer)


def describe(error: BaseException) -> list[str]:
    """The name and message of an exception, cut short; `str(error)` is the student's code as well."""
    try:
        return [type(error).__name__[:100], str(error)[:1000]]
    except BaseException:
        return [type(error).__name__[:100], ""]


def main(feed: Any, wire: Any, shell: Any, ready: Any = None) -> None:
    """Run until the host closes the feed.

    Args:
        feed: the binary file that the host's lines come from.
        wire: the module `grader.wire`.
        shell: the module `grader.execution.shell`.
        ready: in a process that was forked from one with modules and path in place, its shell.
    """
    report = Report()
    settings = json.loads(feed.readline())
    limit(settings)
    lay_out(settings)
    if ready is None:
        narrow_path(settings)
    outputs = shell.Outputs(settings["output_bytes"])
    cells = json.loads(feed.readline())
    ready = ready or shell.make_shell()
    shell.connect(ready, outputs)
    session = Session(settings, wire, ready, outputs, report)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    outputs.redirect()
    sys.meta_path.insert(0, SeedOnImport(settings["seed"]))
    seed_everything(settings["seed"])
    report.send_json("S", {})
    for cell in cells:
        session.run_cell(cell)
    for line in feed:
        session.probe(json.loads(line))
    os._exit(0)
