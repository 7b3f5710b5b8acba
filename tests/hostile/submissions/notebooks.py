"""Files that are no notebooks, or notebooks in odd forms."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .entry import Entry, Lesson, as_bytes

NAME = "lm-basics.ipynb"
FOUND: list[Entry] = []
ATTACK = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'><iframe src='javascript:pwned=1'></iframe>"


def notebook(name: str, tries: str, **more: Any) -> Callable[[Callable[[Any, Lesson], Any]], None]:
    """Register a function that changes the honest notebook, or returns what is handed in instead of it."""

    def register(change: Callable[[Any, Lesson], Any]) -> None:
        def hand_in(folder: Path, lesson: Lesson) -> None:
            content = lesson.notebook()
            changed = change(content, lesson)
            content = content if changed is None else changed
            (folder / NAME).write_bytes(content if isinstance(content, bytes) else as_bytes(content))

        FOUND.append(Entry(name, more.pop("kind", "notebook: cells"), tries, hand_in, **more))

    return register


def ids(content: Any) -> list[Any]:
    """The nbgrader metadata of the cells that have any."""
    return [cell["metadata"]["nbgrader"] for cell in content["cells"] if cell["metadata"].get("nbgrader")]


def checks(content: Any) -> list[Any]:
    """The check cells."""
    return [cell for cell in content["cells"] if cell["metadata"].get("nbgrader", {}).get("grade")]


FILE = {"kind": "notebook: file"}
NOTHING: dict[str, Any] = {**FILE, "most": (), "least": ()}


def raw(name: str, tries: str, data: bytes | Callable[[], bytes], **more: Any) -> None:
    """Register bytes that are handed in as they are."""
    notebook(name, tries, **{**NOTHING, **more})(lambda *_: data() if callable(data) else data)


raw("not JSON", "A text in place of a notebook.", b"My homework is attached.")
raw("a list", "JSON, but a list.", b"[1, 2, 3]")
raw("a number", "JSON, but a number.", b"20.0")
raw("null", "JSON, but null.", b"null")
raw("cells that are no list", "A dictionary where cells should be.", b'{"cells": {"0": {}}, "nbformat": 4}')
raw(
    "cells that are no cells",
    "Numbers, lists and null among the cells.",
    b'{"cells": [1, null, [], "x", {}], "nbformat": 4}',
)
raw("deep nesting", "A hundred thousand brackets: the reader's stack.", lambda: b"[" * 100_000 + b"]" * 100_000)
raw(
    "deep nesting in metadata",
    "The brackets stand in a notebook's metadata.",
    lambda: b'{"metadata":' + b'{"a":' * 99_999 + b"1" + b"}" * 99_999 + b',"cells":[]}',
)
raw("a hundred megabytes", "A notebook that takes long to read.", lambda: b'{"cells": [' + b" " * (100 << 20) + b"]}")
raw("only zeros", "A file of zeros.", bytes(5000))
raw("cut off", "The second half of the file is lost.", b'{"cells": [{"cell_type": "code", "source": "def f(): pas')
raw(
    "a huge number",
    "An integer of a million digits: reading it takes long.",
    lambda: b'{"cells": [], "x": ' + b"9" * 1_000_000 + b"}",
)
raw("a program", "An executable with the name of a notebook.", b"\x7fELF" + bytes(200))
raw("an archive", "A zip with the name of a notebook.", b"PK\x03\x04" + bytes(200))


@notebook("UTF-16", "The file is saved as UTF-16.", **FILE)
def _(content: Any, lesson: Lesson) -> bytes:
    return json.dumps(content).encode("utf-16")


@notebook("a byte order mark", "The file begins with a byte order mark.", **FILE)
def _(content: Any, lesson: Lesson) -> bytes:
    return b"\xef\xbb\xbf" + as_bytes(content)


@notebook("not UTF-8", "A byte that UTF-8 does not have stands in a comment.", **FILE)
def _(content: Any, lesson: Lesson) -> bytes:
    lesson.cell(content, "ngram")["source"] = "# naXve"
    return as_bytes(content).replace(b"naXve", b"na\xefve")


@notebook("keys twice", "A notebook with two lists of cells: which one is graded?", **FILE)
def _(content: Any, lesson: Lesson) -> bytes:
    return b'{"cells": [], ' + as_bytes(content).lstrip()[1:]


@notebook("constants that JSON lacks", "NaN and Infinity as execution counts and points.", **FILE)
def _(content: Any, lesson: Lesson) -> None:
    for cell in checks(content):
        cell["execution_count"] = float("nan")
        cell["metadata"]["nbgrader"]["points"] = float("inf")


@notebook("nbformat 3", "The notebook of ten years ago: worksheets, input in place of source.", **FILE)
def _(content: Any, lesson: Lesson) -> Any:
    cells = [{**cell, "input": cell["source"], "language": "python"} for cell in content["cells"]]
    for cell in cells:
        del cell["source"]
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells, "metadata": {}}]}


for number in (5, 99, "four"):

    @notebook(f"nbformat {number}", "A version of the notebook format that does not exist.", **FILE)
    def _(content: Any, lesson: Lesson, number: Any = number) -> None:
        content["nbformat"] = number
        content["nbformat_minor"] = number
