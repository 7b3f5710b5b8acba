"""The real bundle, installed as a student installs it, opened and run to its end with nothing else of the course."""

import json
import subprocess
import sys
import sysconfig
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader.course import load_course
from grader.release.bundle import make_bundle
from grader.release.writing import write_bundle

pytestmark = pytest.mark.slow

IMPORT_ALL = """
import importlib, importlib.util, json, pkgutil, sys
package = importlib.import_module(sys.argv[1])
names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
for name in names:
    importlib.import_module(name)
from importlib.metadata import version
print(json.dumps({
    "file": package.__file__, "names": names, "version": version(sys.argv[1]),
    "grader": importlib.util.find_spec("grader") is not None,
}))
"""

RUN_ALL = """
import sys, nbformat, nbclient
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, kernel_name="python3", timeout=300).execute()
nbformat.write(notebook, sys.argv[2])
"""


@pytest.fixture(scope="module")
def unpacked(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle through the last chapter, taken out of its zip, beside a fresh environment it is installed in."""
    folder = tmp_path_factory.mktemp("student")
    course = load_course(repository)
    bundle = make_bundle(course, course.chapters[-1].id)
    written = write_bundle(bundle, folder / "out", lambda part: None)
    with zipfile.ZipFile(written.archive) as archive:
        archive.extractall(folder)
    place = folder / bundle.name
    here = [sys.executable, "-m", "venv", "--without-pip", str(place / ".venv")]
    subprocess.run(here, check=True)
    packages = Path(
        subprocess.run(
            [place / ".venv/bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    # what requirements.txt brings, without a network: a path in a .pth file is searched, but its own .pth files, by
    # which this checkout's library and grader are found, are not read
    (packages / "brought.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "./lib"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(place / ".venv/bin/python"), *install],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return place


def in_bundle(place: Path, *arguments: str) -> str:
    done = subprocess.run(
        [place / ".venv/bin/python", *arguments],
        cwd=place / "chapters",
        env={"PATH": "/usr/bin:/bin", "HOME": str(place), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_of_the_bundle_can_be_imported_and_nothing_else_of_the_course(unpacked: Path) -> None:
    manifest = json.loads((unpacked / "manifest.json").read_text(encoding="utf-8"))
    package = manifest["library"]["package"]
    seen = json.loads(in_bundle(unpacked, "-c", IMPORT_ALL, package).splitlines()[-1])
    assert Path(seen["file"]).is_relative_to(unpacked / ".venv")
    assert seen["version"] == manifest["library"]["version"]
    assert not seen["grader"]
    modules = {name for name in manifest["files"] if name.startswith(f"lib/{package}/") and name.endswith(".py")}
    expected = {name.removeprefix("lib/").removesuffix(".py").replace("/", ".") for name in modules}
    assert {name.removesuffix(".__init__") for name in expected} == {package, *seen["names"]}


def test_the_librarys_data_is_installed_with_it(unpacked: Path) -> None:
    manifest = json.loads((unpacked / "manifest.json").read_text(encoding="utf-8"))
    package = manifest["library"]["package"]
    data = [name for name in manifest["files"] if name.startswith(f"lib/{package}/data/")]
    installed = Path(json.loads(in_bundle(unpacked, "-c", IMPORT_ALL, package).splitlines()[-1])["file"]).parent
    assert data
    for name in data:
        assert (installed / name.removeprefix(f"lib/{package}/")).read_bytes() == (unpacked / name).read_bytes()


def test_an_untouched_notebook_runs_to_its_end(unpacked: Path, tmp_path: Path) -> None:
    manifest = json.loads((unpacked / "manifest.json").read_text(encoding="utf-8"))

    def run(chapter: dict[str, Any]) -> None:
        done = tmp_path / f"{chapter['id']}.ipynb"
        in_bundle(unpacked, "-c", RUN_ALL, str(unpacked / chapter["notebook"]), str(done))
        cells = [cell for cell in nbformat.read(done, 4).cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in cells if cell.source.strip()), "the last cell was reached"
        errors = {out.ename for cell in cells for out in cell.outputs if out.output_type == "error"}
        # open exercises say so, and what builds on them has no name to call
        assert "NotImplementedError" in errors
        assert not errors & {"ModuleNotFoundError", "ImportError", "FileNotFoundError", "SyntaxError"}, errors

    # minutes in kernels of their own: one waits for two
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, manifest["chapters"]))
