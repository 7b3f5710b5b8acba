"""What a cell shows in the sandbox is what a real kernel shows, and what comes back is always nbformat."""

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader.course import Budget
from grader.execution.outputs import cleaned
from grader.execution.plan import Library, Plan, PlanCell
from grader.execution.run import execute

CELLS = tomllib.loads((Path(__file__).parent / "cells.toml").read_text(encoding="utf-8"))
OURS = {
    # shown through a terminal by a kernel, or with times, or not at all
    "command": "!echo hello; echo there >&2",
    "subprocess": "import subprocess\nprint('before')\nsubprocess.run(['echo', 'sub'])\nprint('after')",
    "progress": "from tqdm import tqdm\nfor _ in tqdm([1, 2, 3], mininterval=0): pass",
    "surrogate": "print('a\\ud800b')",
}


@pytest.fixture(scope="module")
def here() -> dict[str, list[dict[str, Any]]]:
    """Outputs by cell, from one session of ours."""
    cells = tuple(PlanCell(name, source) for name, source in {**CELLS, **OURS}.items())
    outcome = execute(Plan("outputs", cells, (), Library(), Budget()), sandbox=shutil.which("bwrap") is not None)
    assert outcome.notes == {}
    return outcome.outputs


@pytest.fixture(scope="module")
def kernel() -> dict[str, list[dict[str, Any]]]:
    """Outputs by cell, from one session of a real kernel."""
    from nbclient import NotebookClient

    cells = [nbformat.v4.new_code_cell(source, metadata={"name": name}) for name, source in CELLS.items()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MPLBACKEND", raising=False)
        NotebookClient(notebook, allow_errors=True, timeout=120, kernel_name="python3").execute()
    return {cell.metadata.name: [dict(item) for item in cell.outputs] for cell in notebook.cells}


def comparable(items: list[dict[str, Any]]) -> list[Any]:
    """Outputs without what may differ: colours, addresses, file names, images, the mix of streams."""
    seen: list[Any] = []
    streams = {"stdout": "", "stderr": ""}
    for item in items:
        if item["output_type"] == "stream":
            streams[item["name"]] += plain(item["text"])
        elif item["output_type"] == "error":
            seen.append((item["ename"], plain(item["evalue"]), plain(item["traceback"][-1])))
        else:
            data = {key: value[:20] if key == "image/png" else plain(value) for key, value in item["data"].items()}
            seen.append((item["output_type"], data, item["metadata"], item.get("execution_count")))
    return [streams, *seen]


def plain(text: str) -> str:
    text = re.sub("\x1b.*?m|0x[0-9a-f]+", "", text)
    return re.sub(r"/\S+/ipykernel_\d+/\d+\.py|\d{6,}\.py|<ipython-input\S+?>|/\S+/<ipython\S+>", "FILE", text)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_shows_what_a_real_kernel_shows(name: str, here: dict, kernel: dict) -> None:
    assert comparable(here[name]) == comparable(kernel[name])


def test_what_subprocesses_print_is_shown_in_its_place(here: dict) -> None:
    [command] = here["command"]
    assert (command["name"], command["text"]) == ("stdout", "hello\nthere\n")
    assert here["subprocess"][0]["text"] == "before\nsub\nafter\n"


def test_a_progress_bar_is_text_on_stderr(here: dict) -> None:
    [bar] = here["progress"]
    assert bar["name"] == "stderr"
    assert "3/3" in bar["text"]


def test_all_outputs_are_valid_nbformat_and_can_be_written(here: dict) -> None:
    cells = [nbformat.v4.new_code_cell("", outputs=items) for items in here.values()]
    notebook = nbformat.from_dict(nbformat.v4.new_notebook(cells=cells))
    nbformat.validate(notebook)
    nbformat.writes(notebook).encode()


MALFORMED: list[Any] = [
    None,
    "text",
    {},
    {"output_type": "stream", "name": "stdin", "text": ""},
    {"output_type": "stream", "name": "stdout", "text": {"a": 1}},
    {"output_type": "stream", "name": ["stdout"], "text": ""},
    {"output_type": "error", "ename": 1, "evalue": "", "traceback": []},
    {"output_type": "error", "ename": "", "evalue": "", "traceback": "text"},
    {"output_type": "display_data", "data": [], "metadata": {}},
    {"output_type": "display_data", "data": {"text/plain": 1}, "metadata": {}},
    {"output_type": "display_data", "data": {}, "metadata": None},
    {"output_type": {"stream": 1}},
    {"output_type": "pyout"},
]


@pytest.mark.parametrize("item", MALFORMED)
def test_a_malformed_output_is_dropped_and_the_others_stay(item: Any) -> None:
    good = {"output_type": "stream", "name": "stdout", "text": "x"}
    assert cleaned([item, good]) == [good]


def test_outputs_that_are_no_list_are_none() -> None:
    assert cleaned({"output_type": "stream"}) == []


def test_text_that_cannot_be_written_is_replaced() -> None:
    [item] = cleaned([{"output_type": "stream", "name": "stdout", "text": "a\ud800b\0"}])
    assert item["text"] == "a?b�"


def test_deeply_nested_data_is_dropped() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    assert cleaned([{"output_type": "display_data", "data": {"application/json": deep}, "metadata": {}}]) == []
