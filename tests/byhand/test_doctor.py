"""byhand.doctor: what is in the way is found, named and given a remedy; a healthy machine is ready."""

import importlib.metadata
import json
import subprocess
import sys

import pytest
from byhand import checkpoints, doctor
from byhand.doctor import Finding, examine


def in_the_way(*checks):
    return {finding.what: finding for finding in examine(checks) if finding.in_the_way}


def test_this_machine_is_ready_and_the_command_says_so():
    done = subprocess.run([sys.executable, "-m", "byhand.doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "ready"
    assert "✓ torch" in done.stdout
    assert "✗" not in done.stdout


def test_something_in_the_way_gives_another_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "OLDEST", (9, 0))
    monkeypatch.setattr(doctor.examine, "__defaults__", ((doctor.python,),))
    assert doctor.main() == 1
    shown = capsys.readouterr().out
    assert "→ make the environment with Python 9.0 or newer, 64 bit" in shown
    assert "1 to mend" in shown


def test_packages_that_are_missing_are_named(monkeypatch):
    needs = ["torch", "no-such-thing>=2; python_version > '3'", "skipped; extra == 'dev'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: needs)
    found = in_the_way(doctor.packages)["packages"]
    assert found.seen == "without no-such-thing"
    assert "pip install" in found.remedy


def test_a_library_that_is_only_lying_there_is_told_to_be_installed(monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert "pip install" in in_the_way(doctor.packages)["the library"].remedy


def test_a_torch_that_cannot_be_loaded_is_reported_with_its_words(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    found = in_the_way(doctor.torch)["torch"]
    assert "torch" in found.seen
    assert "VC++" in found.remedy


def test_weights_with_other_bytes_are_named(monkeypatch, tmp_path):
    for ending in ("json", "safetensors"):
        name = f"stories-draft.{ending}"
        (tmp_path / name).write_bytes((checkpoints.FOLDER / name).read_bytes())
    broken = tmp_path / "stories-draft.safetensors"
    broken.write_bytes(broken.read_bytes()[:-1] + b"!")
    names, read = checkpoints.names, checkpoints.read
    monkeypatch.setattr(checkpoints, "names", lambda folder=tmp_path: names(folder))
    monkeypatch.setattr(checkpoints, "read", lambda name: read(name, tmp_path))
    found = in_the_way(doctor.weights)["course's own models"]
    assert found.seen.startswith("stories-draft: ")
    assert "SHA-256" in found.seen


@pytest.mark.parametrize(("program", "well"), [("/somewhere/else/bin/python3", False), (sys.executable, True)])
def test_the_kernel_must_be_this_python(program, well, monkeypatch, tmp_path):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    words = [program, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": words, "display_name": "Python 3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    found = next(doctor.kernel())
    assert found.in_the_way is not well
    assert well or program in found.seen


def test_a_check_that_fails_itself_is_a_finding():
    def curious():
        raise RuntimeError("no such thing as memory")
        yield

    found = in_the_way(curious)["curious"]
    assert "no such thing as memory" in found.seen


def test_what_is_only_good_to_know_is_not_in_the_way():
    note = Finding("memory", "1 GB", "close other programs", needed=False)
    assert not note.in_the_way
    assert doctor.line(note) == "· memory: 1 GB\n    → close other programs"
