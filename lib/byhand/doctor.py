"""Is this machine ready for the notebooks? `python -m byhand.doctor` looks, and says what to do where it is not.

Things are tried, not only looked up: torch multiplies, weights are read and their hashes compared, and Jupyter is asked
which Python its kernel is. Changes nothing and asks nobody. Belongs to no chapter.
"""

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST = (3, 11)
ROOM_GB = 1.0
MEMORY_GB = 4.0
INSTALL = "python -m pip install -r requirements.txt"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: was looked at, in two or three words.
        seen: what was found.
        remedy: what to do about it; empty when all is well.
        needed: whether nothing works without it; else it is good to know.
    """

    what: str
    seen: str
    remedy: str = ""
    needed: bool = True

    @property
    def in_the_way(self) -> bool:
        """Whether it must be mended first."""
        return bool(self.remedy) and self.needed


def python() -> Iterator[Finding]:
    """The interpreter's version and width."""
    bits = 64 if sys.maxsize > 2**32 else 32
    seen = f"{platform.python_version()}, {bits} bit, {sys.executable}"
    wanted = ".".join(map(str, OLDEST))
    too_old = sys.version_info[:2] < OLDEST or bits == 32
    yield Finding("Python", seen, f"make the environment with Python {wanted} or newer, 64 bit" if too_old else "")


def packages() -> Iterator[Finding]:
    """What the library needs, and what opens notebooks."""
    try:
        needed = importlib.metadata.requires("byhand") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("the library", "not installed, found by its folder only", f"in the course's folder: {INSTALL}")
        return
    names = [re.split(r"[\s<>=!~;\[@(]", line)[0] for line in needed if "extra ==" not in line]
    missing = [name for name in [*names, "jupyterlab", "ipykernel"] if not _version(name)]
    seen = f"without {', '.join(missing)}" if missing else f"{len(names) + 2} of {len(names) + 2}"
    yield Finding("packages", seen, f"in the course's folder: {INSTALL}" if missing else "")


def torch() -> Iterator[Finding]:
    """A product of two matrices, on the CPU and on the device that the notebooks take."""
    try:
        module = importlib.import_module("torch")
        product = module.ones(2, 3) @ module.ones(3, 2)
        assert product.sum() == 12
    except Exception as error:
        words = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        yield Finding("torch", words, f"install it again: {INSTALL}; on Windows also Microsoft's VC++ runtime")
        return
    yield Finding("torch", f"{module.__version__}, {module.get_num_threads()} threads")
    if module.cuda.is_available():
        try:
            on_device = module.ones(2, 3, device="cuda") @ module.ones(3, 2, device="cuda")
            assert on_device.sum().item() == 12
            yield Finding("graphics card", f"{module.cuda.get_device_name()}, CUDA {module.version.cuda}")
        except Exception as error:
            words = f"torch finds {module.cuda.get_device_name()} and cannot use it: {str(error).splitlines()[0]}"
            yield Finding("graphics card", words, "hide it from the notebooks: set CUDA_VISIBLE_DEVICES to nothing")
    elif shutil.which("nvidia-smi"):
        remedy = "a torch for your driver is chosen on pytorch.org; every notebook runs without it"
        yield Finding("graphics card", "there is one, and this torch does not use it", remedy, needed=False)
    else:
        yield Finding("graphics card", "none; every notebook runs on the processor")


def weights() -> Iterator[Finding]:
    """The models that come with the course: read, and compared with their hashes."""
    from byhand import checkpoints
    from byhand.hub.folders import minilm_folder

    try:
        yield Finding("all-MiniLM-L6-v2", f"whole, {_megabytes(minilm_folder())} MB")
    except Exception as error:
        yield Finding("all-MiniLM-L6-v2", str(error).splitlines()[0], f"install it again: {INSTALL}")
    names = checkpoints.names()
    damaged = []
    for name in names:
        try:
            checkpoints.read(name)
        except Exception as error:
            damaged.append(f"{name}: {str(error).splitlines()[0]}")
    remedy = "unpack the course's folder again, then install it again"
    if damaged:
        yield Finding("course's own models", "; ".join(damaged), remedy)
    elif names:
        yield Finding("course's own models", f"{len(names)} whole: {', '.join(names)}")


def kernel() -> Iterator[Finding]:
    """Which Python a notebook's cells would run in."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:
        return  # said by `packages`
    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        yield Finding("kernel", "there is no kernel python3", "python -m ipykernel install --sys-prefix")
        return
    own = Path(sys.prefix).resolve()
    found = shutil.which(program) or program
    here = program in ("python", "python3") or Path(found).parent.parent.resolve() == own
    remedy = f"choose the Python of {own} as the notebook's kernel, or: python -m ipykernel install --sys-prefix"
    yield Finding("kernel", "this Python" if here else f"another Python: {found}", "" if here else remedy)


def editor() -> Iterator[Finding]:
    """JupyterLab, and the button that runs a notebook's checks from the top."""
    if version := _version("jupyterlab"):
        yield Finding("JupyterLab", version)
    if version := _version("nbgrader"):
        yield Finding("Validate button", f"nbgrader {version}")
    else:
        remedy = f"{INSTALL}, if you want it; Restart Kernel and Run All Cells does the same"
        yield Finding("Validate button", "nbgrader is not installed", remedy, needed=False)


def room() -> Iterator[Finding]:
    """Memory, processors and disk."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("processors", str(cores))
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        small = memory < 0.9 * MEMORY_GB
        remedy = f"close other programs: the largest notebooks take up to {MEMORY_GB:g} GB" if small else ""
        yield Finding("memory", f"{memory:.1f} GB", remedy, needed=False)
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    remedy = f"free some: notebooks keep their outputs, and {ROOM_GB:g} GB is little" if free < ROOM_GB else ""
    yield Finding("free disk here", f"{free:.1f} GB", remedy, needed=False)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (python, packages, torch, weights, kernel, editor, room)


def examine(checks: Iterable[Callable[[], Iterable[Finding]]] = CHECKS) -> Iterator[Finding]:
    """Everything that was looked at, as it is found; a check that itself fails is a finding."""
    for check in checks:
        try:
            yield from check()
        except Exception as error:
            words = f"could not be looked at: {type(error).__name__}: {error}"
            yield Finding(check.__name__, words, f"install again: {INSTALL}; if it stays, show this to your teacher")


def line(finding: Finding) -> str:
    """One finding for a terminal, its remedy below it.

    >>> print(line(Finding("torch", "2.13.0, 2 threads")))
    ✓ torch: 2.13.0, 2 threads
    >>> print(line(Finding("kernel", "another Python: /usr/bin/python3", "choose this one")))
    ✗ kernel: another Python: /usr/bin/python3
        → choose this one
    """
    mark = "✗" if finding.in_the_way else "·" if finding.remedy else "✓"
    words = f"{mark} {finding.what}: {finding.seen}"
    return f"{words}\n    → {finding.remedy}" if finding.remedy else words


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _megabytes(folder: Path) -> int:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6)


def main() -> int:
    """Look and say; 0 when the notebooks can run."""
    wrong = 0
    for finding in examine():
        wrong += finding.in_the_way
        print(line(finding), flush=True)  # noqa: T201
    print("ready" if not wrong else f"{wrong} to mend before the notebooks run")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
