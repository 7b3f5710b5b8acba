"""A few rounds of `make chaos`: what is killed at any moment is finished by the next run, and equal."""

import shutil
from typing import Any

import pytest

from . import chaos as chaos_program


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")
def test_killed_runs_end_as_undisturbed_ones() -> None:
    lines: list[str] = []
    counts: dict[str, Any] = chaos_program.run(2, 7, 6, 2, 2, lines.append)
    assert counts["equal"] == 2, "\n".join(lines)
    assert counts["kills in all"] > 0, "\n".join(lines)
