"""Each chapter shows the same in the grader's shell, warm and cold, as in a real Jupyter kernel."""

import os
import re
from dataclasses import replace
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from grader.execution import shelf, starting
from grader.execution.outputs import cleaned
from grader.execution.plan import Plan
from grader.execution.run import execute
from grader.execution.sandbox import ENVIRONMENT

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

Shown = dict[str, list[Any]]


def in_a_kernel(plan: Plan) -> Shown:
    """What the cells show in ipykernel, driven by nbclient."""
    cells = [cell for cell in plan.cells if cell.source.strip()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.source) for cell in cells])
    same = {name: value for name, value in ENVIRONMENT.items() if name.startswith(("OMP", "MPL", "PYTHON", "TOKEN"))}
    environment = {**os.environ, **same, "PYTHONPATH": str(shelf.library_folder(plan))}
    client = NotebookClient(notebook, kernel_name="python3", timeout=600, allow_errors=True)
    client.execute(env=environment)
    return {
        cell.id: cleaned([dict(item) for item in run.outputs]) for cell, run in zip(cells, notebook.cells, strict=True)
    }


def normal(shown: Shown, plan: Plan) -> dict[str, str]:
    """Without what must differ: numbers of prompts, addresses, and where a kernel's clock cuts a stream in two."""
    found = {}
    for cell in plan.cells:
        items = list[Any]()
        for item in shown.get(cell.id, []):
            if items and item["output_type"] == "stream" and item.get("name") == items[-1].get("name"):
                items[-1]["text"] += item["text"]
            else:
                items.append({**item, "execution_count": None})
        if cell.source.strip():
            found[cell.id] = re.sub(r"0x[0-9a-f]{6,}", "0xADDRESS", repr(items))
    return found


def test_the_graders_shell_shows_what_a_real_kernel_shows(room):
    plan, _, warm = room.solved
    assert warm.start == "warm"
    assert sum(map(bool, warm.outputs.values())) > 3, "a page that shows nothing compares nothing"
    assert normal(warm.outputs, plan) == normal(in_a_kernel(plan), plan)


def test_a_cold_start_shows_what_a_warm_one_shows(room, monkeypatch):
    plan = room.light(replace(room.solved[0], probes=()))
    warm = execute(plan)
    monkeypatch.setattr(starting, "TRIES", 0)
    cold = execute(plan)
    assert (warm.start, cold.start) == ("warm", "cold")
    assert warm.outputs == cold.outputs
