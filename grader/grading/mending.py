"""Cells put back into the shape that they had: split ones joined, merged ones taken apart, stray characters out.

Nothing here decides whose a cell is (that is `matching`), and nothing is changed that Python reads as it stands,
except to cut a cell at the borders of the course's own cells and of answers, where every part must be Python if the
whole was.
"""

import itertools
import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace

from grader.grading.loose import LooseCell, bare, defined_names
from grader.grading.matching import Slot, parses

SPLIT = "had been split; its parts were joined"
MERGED = "stood in one cell with others; the cell was taken apart"
STRAY = "held characters or prompts that Python does not read; they were taken out"

MOST_CHARACTERS = 1_000_000
"""Of all cells together; chapters have a tenth of it. A longer notebook is taken as it is: reading costs time."""

MOST_PARTS = 12
"""Cells that are tried as the rest of a split one."""

SHORTEST_BLOCK = 20
"""Characters of a course's cell below which it is not looked for inside others: it may stand there by chance."""

SPACES = dict.fromkeys(map(ord, "\u00a0\u2000\u2001\u2002\u2003\u2007\u2008\u2009\u202f\u3000"), " ")
NOTHING = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
QUOTES = {ord("\u2018"): "'", ord("\u2019"): "'", ord("\u201c"): '"', ord("\u201d"): '"'}
PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.(?!\.)|In \[\d+\]:|\s*\.{3,}:)(?: |$)", re.MULTILINE)
MAGIC = re.compile(r"^\s*[%!?]|\?\s*$", re.MULTILINE)


def mended(cells: Sequence[LooseCell], slots: Sequence[Slot]) -> list[LooseCell]:
    """The student's cells as they were before editors and accidents changed their borders."""
    if sum(len(cell.source) for cell in cells) > MOST_CHARACTERS:
        return list(cells)
    names = frozenset().union(*(slot.defines for slot in slots if slot.role == "answer"))
    blocks = _blocks(slots)
    whole = _rejoined([_readable(cell, names) for cell in cells], names)
    return [part for cell in whole for part in _taken_apart(cell, blocks, slots)]


def _readable(cell: LooseCell, names: frozenset[str]) -> LooseCell:
    """A cell without what no Python holds, where that alone makes it Python."""
    if cell.kind == "markdown" or parses(cell.source) or MAGIC.search(cell.source):
        return cell
    plain = cell.source.translate({**SPACES, **NOTHING})
    without = PROMPT.sub("", plain)
    choices = [plain, without, plain.translate(QUOTES)]
    level = textwrap.dedent(without)
    if defined_names(level) & names:
        # any other indented cell may be the rest of one that was split
        choices.append(level)
    source = next((choice for choice in choices if choice != cell.source and parses(choice)), None)
    return cell if source is None else replace(cell, source=source, mended=STRAY)


def _is_indented(source: str) -> bool:
    return source.strip("\r\n").startswith((" ", "\t"))


def _rejoined(cells: Sequence[LooseCell], names: frozenset[str]) -> list[LooseCell]:
    """Split cells as one: the rest begins with an indented line, or the first part is no Python alone."""
    joined: list[LooseCell] = []
    number = 0
    while number < len(cells):
        first, parts = cells[number], 1
        if first.kind == "code" and first.bare and not _is_indented(first.source):
            for count in range(2, MOST_PARTS):
                rest = cells[number + count - 1 : number + count]
                if not rest or not _may_be_the_rest(first, rest[0], names):
                    break
                source = "\n".join(cell.source.strip("\r\n") for cell in cells[number : number + count])
                if parses(source):
                    parts = count
                    first = replace(first, source=source, mended=SPLIT)
            first = first if parts > 1 else cells[number]
        joined.append(first)
        number += parts
    return joined


def _may_be_the_rest(first: LooseCell, rest: LooseCell, names: frozenset[str]) -> bool:
    if rest.kind != first.kind or defined_names(textwrap.dedent(rest.source)) & names:
        return False
    if _is_indented(rest.source):
        return True
    labelled = bool(first.grade_id) and rest.grade_id == first.grade_id
    return not parses(first.source) and (labelled or not parses(rest.source))


def _blocks(slots: Sequence[Slot]) -> dict[str, list[list[str]]]:
    """The course's own code cells as lines, by their first line, the longest first."""
    found: dict[str, list[list[str]]] = {}
    for slot in slots:
        lines = bare(slot.source).split("\n")
        if slot.code and slot.role in ("plain", "checks") and len(bare(slot.source)) >= SHORTEST_BLOCK:
            found.setdefault(lines[0], []).append(lines)
    for choices in found.values():
        choices.sort(key=len, reverse=True)
    return found


def _taken_apart(cell: LooseCell, blocks: dict[str, list[list[str]]], slots: Sequence[Slot]) -> list[LooseCell]:
    """A cell cut around the course's own cells in it and before each answer but the first."""
    if cell.kind == "markdown":
        return [cell]
    lines = [line.rstrip() for line in cell.source.splitlines()]
    owners = {name: slot.label for slot in slots if slot.role == "answer" for name in slot.defines}
    borders, own = {0}, set()
    number, label = 0, ""
    while number < len(lines):
        block = next((b for b in blocks.get(lines[number], ()) if lines[number : number + len(b)] == b), None)
        if block is not None:
            borders |= {number, number + len(block)}
            own.add(number)
            number, label = number + len(block), ""
            continue
        owner = next((owners[name] for name in defined_names(lines[number]) if name in owners), label)
        if owner != label and label:
            borders.add(_above(lines, number))
        label = owner
        number += 1
    edges = [*sorted(borders - {len(lines)}), len(lines)]
    sources = [("\n".join(lines[a:b]), a in own) for a, b in itertools.pairwise(edges)]
    parts = [(source, given) for source, given in sources if source.strip()]
    merged = len(own) > 1 or any(defined_names(source) & set(owners) for source, given in parts if not given)
    if len(parts) < 2 or not merged or (parses(cell.source) and not all(parses(source) for source, _ in parts)):
        return [cell]
    return _as_cells(cell, parts)


def _above(lines: Sequence[str], number: int) -> int:
    """The line at which a definition begins, with its decorators and the comments on top of it."""
    while number and lines[number - 1].startswith(("@", "#")):
        number -= 1
    return number


def _as_cells(cell: LooseCell, parts: Sequence[tuple[str, bool]]) -> list[LooseCell]:
    """The parts; the first that is the student's keeps the ids."""
    cells = []
    first = True
    for source, own in parts:
        if own or not first:
            cells.append(replace(cell, source=source, grade_id="", cell_id="", mended=MERGED))
        else:
            cells.append(replace(cell, source=source, mended=MERGED))
            first = False
    return cells
