"""A few rounds of `make chaos`: whatever is killed at any moment, the next run finishes it, and all is equal."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .state import differences

PROGRAM = Path(__file__).with_name("chaos.py")


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")
def test_killed_runs_end_as_undisturbed_ones(tmp_path: Path) -> None:
    counted = tmp_path / "chaos.json"
    sizes = ["--rounds", "2", "--students", "6", "--strikes", "2", "--seed", "7", "--out", str(counted)]
    ended = subprocess.run([sys.executable, str(PROGRAM), *sizes], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counts = json.loads(counted.read_text())
    assert counts["equal"] == counts["rounds"] == 2
    assert counts["kills in all"] > 0


def test_what_is_lost_doubled_or_other_is_seen() -> None:
    wanted = {"gradebook": [("grade", "ada", 1.0), ("grade", "eve", 0.0)], "results": {"ada": {"points": 1}}}
    assert differences(wanted, wanted) == []
    lost = {**wanted, "gradebook": wanted["gradebook"][:1]}
    doubled = {**wanted, "gradebook": [*wanted["gradebook"], ("grade", "ada", 1.0)]}
    other = {**wanted, "results": {"ada": {"points": 2}, "eve": {}}}
    assert differences(wanted, lost) == ["gradebook: missing [('grade', 'eve', 0.0)], instead []"]
    assert differences(wanted, doubled)[-1] == "gradebook: 3 rows instead of 2"
    assert differences(wanted, other) == ["results: ada", "results: eve"]
