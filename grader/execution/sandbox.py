"""The bubblewrap command: what a submission's process can see and reach.

It sees the system's programs and libraries, Python and its packages, a small folder in memory to write in,
and nothing else: no network, no other process, no home, no course, no gradebook. As an ordinary user the
sandbox has a user namespace; as root there is none, and the process becomes a user that exists nowhere else,
so that limits on the number of processes count for each submission alone.
"""

import contextlib
import functools
import itertools
import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.errors import EnvironmentProblem
from grader.execution.syscalls import filter_program

SCRATCH = "/submission"
"""The writable folder inside, in memory: work, home and tmp lie in it."""
LIBRARY = "/library"
"""The library slice inside, read-only."""

REMEDY = (
    "install it with `apt-get install bubblewrap` and allow it to make namespaces, or pass --no-sandbox, "
    "which lets every submission read and change all that you can: for code that you trust only"
)

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SETTINGS = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/fonts"),
    *("/etc/localtime", "/sys/devices/system/cpu"),
)
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "USER": "student",
    "LOGNAME": "student",
    "TERM": "xterm-color",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUTF8": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "NBGRADER_EXECUTION": "autograde",
}
_slots = itertools.count()


@dataclass(frozen=True)
class Bubblewrap:
    """A bubblewrap that was seen to work.

    Attributes:
        program: its path.
        as_root: without a user namespace, becoming another user; else with one.
    """

    program: str
    as_root: bool


def environment(scratch: str) -> dict[str, str]:
    """The whole environment of a submission's process, whose writable folder is `scratch`."""
    folders = {
        "HOME": "home",
        "TMPDIR": "tmp",
        "IPYTHONDIR": "home/.ipython",
        "MPLCONFIGDIR": "home/.matplotlib",
    }
    return {
        **ENVIRONMENT,
        **{name: f"{scratch}/{path}" for name, path in folders.items()},
        "PATH": f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}",
    }


@contextlib.contextmanager
def system_call_filter() -> Iterator[tuple[int, ...]]:
    """A descriptor that bubblewrap can read the filter from, for `command`; none where there is no filter."""
    with tempfile.TemporaryFile() as file:
        file.write(filter_program())
        file.seek(0)
        yield (file.fileno(),) if filter_program() else ()


def command(
    bubblewrap: Bubblewrap,
    program: list[str],
    size_mb: int,
    packages: Iterable[str] = (),
    filters: tuple[int, ...] = (),
    library: Path | None = None,
    for_server: bool = False,
) -> list[str]:
    """The command that runs `program` in a new sandbox.

    Args:
        bubblewrap: from `find_bubblewrap`.
        program: an absolute path that exists inside, and its arguments.
        size_mb: of the writable folder, and of shared memory.
        filters: from `system_call_filter`; the process that runs the command inherits them.
        packages: packages that must not be seen where they are installed beside Python's own: the whole
            library.
        library: the folder to show as the library slice.
        for_server: for the fork server, which runs no student's code: it may make namespaces, sees the machine's
            /proc, without which the kernel lets it mount no other, and does not die with the thread that started it.
    """
    size = ["--size", str(size_mb << 20)]
    words = [bubblewrap.program, "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += ["--unshare-cgroup-try", "--new-session", "--clearenv", "--hostname", "sandbox"]
    words += mounts(packages, size)
    words += ["--bind", "/proc", "/proc"] if for_server else ["--die-with-parent", "--proc", "/proc"]
    words += ["--dev", "/dev", "--perms", "1777", *size, "--tmpfs", "/dev/shm"]
    words += ["--perms", "0777", *size, "--tmpfs", SCRATCH]
    words += ["--perms", "0755", "--dir", LIBRARY] if library is None else ["--ro-bind", str(library), LIBRARY]
    words += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SCRATCH]
    for number in filters:
        words += ["--seccomp", str(number)]
    for name, value in environment(SCRATCH).items():
        words += ["--setenv", name, value]
    if not bubblewrap.as_root:
        return [*words, "--unshare-user", *([] if for_server else ["--disable-userns"]), "--", *program]
    user = str(_free_user())
    words += ["--cap-drop", "ALL"]
    for capability in ("SETUID", "SETGID", "SETPCAP"):
        words += ["--cap-add", f"CAP_{capability}"]
    drop = [shutil.which("setpriv") or "setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
    return [*words, "--", *drop, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", *program]


def shown_below_tmp(packages: Iterable[str] = ()) -> list[str]:
    """Folders below /tmp that a sandbox shows, such as a Python that was installed there."""
    tmp = Path("/tmp")
    paths = [path for path in _shown(packages, []) if path != tmp and path.is_relative_to(tmp)]
    return [str(path) for path in paths if not any(path != other and path.is_relative_to(other) for other in paths)]


def _shown(packages: Iterable[str], size: list[str]) -> dict[Path, list[str]]:
    """By path, the words that mount what is shown there or an empty folder over what must not be."""
    shown: dict[Path, list[str]] = {}
    for text in SYSTEM:
        path = Path(text)
        if path.is_symlink():
            shown[path] = ["--symlink", str(path.readlink()), text]
        elif path.is_dir():
            shown[path] = ["--ro-bind", text, text]
    for text in SETTINGS:
        shown[Path(text)] = ["--ro-bind-try", text, text]
    for text in {sys.base_prefix, sys.base_exec_prefix, sys.prefix}:
        # under its real name too: a virtual environment's links may lead through either
        for path in (Path(text), Path(text).resolve()):
            shown[path] = ["--ro-bind", str(path.resolve()), str(path)]
    for path in [path for path in _private(packages) if path not in shown and _is_inside(path, shown)]:
        shown[path] = ["--tmpfs", str(path)]
    # a folder in memory of its own rather than a link: Python may be installed below it
    shown[Path("/tmp")] = ["--perms", "1777", *size, "--tmpfs", "/tmp"]
    return shown


def mounts(packages: Iterable[str], size: list[str]) -> list[str]:
    """What is mounted read-only, parents first; empty folders cover what must not show through."""
    shown = _shown(packages, size)
    words: list[str] = []
    for path in sorted(shown, key=lambda path: len(path.parts)):
        above = [parent for parent in path.parents if parent in shown]
        if not above or "--tmpfs" in shown[above[0]]:
            # bubblewrap by itself makes the folders above a mount for their owner alone
            for parent in reversed(path.parents[: path.parents.index(above[0]) if above else -1]):
                words += ["--perms", "0755", "--dir", str(parent)]
        words += shown[path]
    for path, mounting in shown.items():
        if mounting[0] == "--tmpfs":
            words += ["--remount-ro", str(path)]
    return words


def _is_inside(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _private(packages: Iterable[str]) -> list[Path]:
    """Folders that stay hidden even where they lie in a folder that is shown."""
    here = Path(__file__).resolve().parents[2]
    places = [Path(text) for text in site.getsitepackages()]
    roots = [Path.cwd(), here, Path(os.environ.get("COURSE_ROOT", here)).resolve()]
    hidden = [root for root in roots if (root / "course.toml").is_file()]
    return hidden + [place / name for place in places for name in (*packages, "grader") if (place / name).is_dir()]


def _free_user() -> int:
    """A user id that no account has and that no other sandbox uses at this time."""
    mapped = max(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    slot = next(_slots)
    if mapped > 1 << 31:
        return 1 << 30 | (os.getpid() & 0x3FFFFF) << 8 | slot & 0xFF
    # a container with few ids
    return mapped - 2 - ((os.getpid() << 2 | slot & 3) % (mapped // 2))


@functools.cache
def find_bubblewrap() -> Bubblewrap:
    """The bubblewrap of this machine, after a sandbox was seen to start Python.

    Raises:
        EnvironmentProblem: when it is missing or cannot make a sandbox, with its own words and what to do.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise EnvironmentProblem("the sandbox needs bubblewrap, and there is no `bwrap` on the PATH", REMEDY)
    said = ""
    for as_root in (True, False) if os.geteuid() == 0 else (False,):
        found = Bubblewrap(program, as_root)
        said = _try_out(found)
        if not said:
            return found
    if "ermission denied" in said and sys.executable in said:
        raise EnvironmentProblem(
            f"the sandbox cannot read Python: {said}",
            f"let other users read it: chmod -R go+rX {sys.prefix} {sys.base_prefix}",
        )
    raise EnvironmentProblem(f"bubblewrap cannot make a sandbox here: {said}", REMEDY)


def _try_out(bubblewrap: Bubblewrap) -> str:
    """What the trial said when it failed; nothing when it worked."""
    program = [sys.executable, "-P", "-c", "import json, socket, IPython; print('ready')"]
    try:
        with system_call_filter() as filters:
            done = subprocess.run(
                command(bubblewrap, program, 16, filters=filters),
                capture_output=True,
                text=True,
                timeout=60,
                stdin=subprocess.DEVNULL,
                pass_fds=filters,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.stdout.strip() == "ready":
        return ""
    return done.stderr.strip()[-500:] or f"exit code {done.returncode}"
