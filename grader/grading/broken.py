"""What can still be read of a notebook whose JSON is broken: by a cut, by a merge in git, by something around it.

Whatever is found here is a student's text like any other: nothing in it is believed. Each way looks at the text once,
so that a large broken file costs no more than a large whole one.
"""

import json
import re
from typing import Any

MERGE_START, MERGE_MIDDLE, MERGE_END = "<<<<<<<", "=======", ">>>>>>>"


def salvage(text: str) -> tuple[Any, str] | None:
    """A notebook in a text that is not valid JSON, and a remark for the student; None where there is none.

    >>> salvage('{"cells": []} and more')
    ({'cells': []}, 'the file holds more than the notebook: the rest was passed over')
    """
    merged = _without_merge_marks(text)
    if merged is not None:
        found = _first_object(merged) or _first_cells(merged)
        if found is not None:
            return found, "the file holds both sides of a merge in git: the first side of each was read"
    found = _first_object(text)
    if found is not None:
        return found, "the file holds more than the notebook: the rest was passed over"
    found = _first_cells(text)
    if found is not None:
        count = len(found["cells"])
        return found, f"the file is cut off or broken: its first {count} cell{'s' * (count != 1)} could be read"
    return None


def _first_object(text: str) -> dict[str, Any] | None:
    """The notebook at the first brace."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    return found if isinstance(found, dict) and ("cells" in found or "worksheets" in found) else None


def _first_cells(text: str) -> dict[str, Any] | None:
    """The whole cells at the beginning of the list of cells, where at least one is whole."""
    start = re.search(r'"cells"\s*:\s*\[\s*', text)
    if start is None:
        return None
    decoder, comma = json.JSONDecoder(), re.compile(r"\s*,\s*")
    place, cells = start.end(), []
    while True:
        try:
            cell, place = decoder.raw_decode(text, place)
        except ValueError:
            break
        cells.append(cell)
        between = comma.match(text, place)
        if between is None:
            break
        place = between.end()
    return {"cells": cells} if cells else None


def _without_merge_marks(text: str) -> str | None:
    """The text with the first side of every conflict; None where git left no marks."""
    if MERGE_START not in text:
        return None
    lines, side, conflicts = [], 0, 0
    for line in text.splitlines(keepends=True):
        if line.startswith(MERGE_START):
            side, conflicts = 1, conflicts + 1
        elif side == 1 and line.startswith((MERGE_MIDDLE, "|||||||")):
            side = 2
        elif side == 2 and line.startswith(MERGE_END):
            side = 0
        elif side < 2:
            lines.append(line)
    return "".join(lines) if conflicts else None
