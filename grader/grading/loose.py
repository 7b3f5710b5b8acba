"""A student's notebook read with tolerance: the sources of its cells and by what names they might be known.

nbformat's own reader validates, and one cell with a stray key ends it. Here only what grading needs is
taken, from any nbformat version, and anything else is passed over: outputs, attachments, widget state,
flags.
"""

import functools
import json
import re
from dataclasses import dataclass
from typing import Any

from grader.errors import SubmissionError
from grader.grading.broken import salvage

MAX_CELLS = 2000
MAX_SOURCE = 200_000
"""Characters of one cell; the longest answer of the course has a few thousand."""
MAX_TEXT = 2_000_000
"""Characters of all cells together; a chapter has a hundred thousand. What reads them parses them, some twice."""


@dataclass(frozen=True)
class LooseCell:
    """One cell of a student's notebook; nothing in it is believed."""

    kind: str
    source: str
    grade_id: str = ""
    cell_id: str = ""
    mended: str = ""
    """What was done to it, as a clause that begins with a verb; empty for a cell as it was read."""

    @functools.cached_property
    def defines(self) -> frozenset[str]:
        """The functions and classes that it defines at its top level."""
        return defined_names(self.source)

    @functools.cached_property
    def bare(self) -> str:
        """Its source as `bare` gives it."""
        return bare(self.source)


def read_loosely(data: bytes) -> tuple[list[LooseCell], list[str]]:
    """The cells of a notebook and what had to be passed over.

    Raises:
        SubmissionError: when the bytes are no notebook; the problem is a sentence for the student.
    """
    remarks: list[str] = []
    content = _parse(_decode(data, remarks), remarks)
    if not isinstance(content, dict):
        raise SubmissionError("The file is not a notebook: it holds JSON, but no notebook's JSON.")
    raw = content.get("cells")
    if raw is None:
        raw = _cells_of_nbformat_3(content)
    if not isinstance(raw, list):
        raise SubmissionError("The file is not a notebook: it has no list of cells.")
    if len(raw) > MAX_CELLS:
        remarks.append(f"the notebook has {len(raw):,} cells: only the first {MAX_CELLS:,} were read")
    cells: list[LooseCell] = []
    length = 0
    for item in raw[:MAX_CELLS]:
        cell = _loose_cell(item)
        if cell is None:
            remarks.append("a cell without a readable source was passed over")
        elif len(cell.source) > MAX_SOURCE:
            remarks.append(f"a cell of {len(cell.source):,} characters was passed over")
        elif length + len(cell.source) > MAX_TEXT:
            remarks.append(f"the cells have more than {MAX_TEXT:,} characters together: some were passed over")
        else:
            length += len(cell.source)
            cells.append(cell)
    return cells, list(dict.fromkeys(remarks))


def _decode(data: bytes, remarks: list[str]) -> str:
    for mark, codec in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(codec, errors="replace")
    # every second byte of a Latin text in UTF-16 is zero
    if b"\0" in data[:2] and data[:400].count(0) * 3 > len(data[:400]):
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        remarks.append("the notebook was not saved as UTF-8: some characters may be lost")
        return data.decode("utf-8", errors="replace")


def _parse(text: str, remarks: list[str]) -> Any:
    try:
        try:
            return json.loads(text)
        except ValueError:
            found = salvage(text)
            if found is None:
                raise
            remarks.append(found[1])
            return found[0]
    except RecursionError:
        raise SubmissionError("The file is not a notebook: its JSON is nested too deeply.") from None
    except ValueError as error:
        line = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise SubmissionError(
            f"The file is not a notebook: it is not valid JSON{line}. "
            "Open it in JupyterLab, save it, and hand it in again."
        ) from None


def _cells_of_nbformat_3(content: dict[str, Any]) -> Any:
    sheets = content.get("worksheets")
    if not isinstance(sheets, list):
        return None
    return [cell for sheet in sheets if isinstance(sheet, dict) for cell in _as_list(sheet.get("cells"))]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _loose_cell(item: Any) -> LooseCell | None:
    if not isinstance(item, dict):
        return None
    source = item.get("source", item.get("input"))
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    metadata = item.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return LooseCell(
        kind=_text(item.get("cell_type")),
        # half of a surrogate pair cannot be written to any file
        source=source.encode("utf-8", "replace").decode("utf-8"),
        grade_id=_text(grade_id),
        cell_id=_text(item.get("id")),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def defined_names(source: str) -> frozenset[str]:
    """Functions and classes at the top level, also of a source that does not parse.

    >>> sorted(defined_names("def f(x):\\n    def g(): ...\\nclass C: pass\\nx = (1"))
    ['C', 'f']
    """
    return frozenset(re.findall(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", source, re.MULTILINE))


def bare(source: str) -> str:
    """A source without what editors change by themselves: line ends and white space at the ends of lines."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())
