"""A notebook whose file is broken is read as far as it goes, and what is no notebook stays none."""

import json

import pytest

from grader.errors import SubmissionError
from grader.grading.loose import read_loosely

CELLS = [{"cell_type": "code", "metadata": {}, "source": f"x = {number}\nprint(x)"} for number in range(4)]
WHOLE = json.dumps({"cells": CELLS, "metadata": {}, "nbformat": 4}, indent=1)


def sources(data: bytes) -> list[str]:
    return [cell.source for cell in read_loosely(data)[0]]


EXPECTED = [cell["source"] for cell in CELLS]


@pytest.mark.parametrize("rest", ["\0\0\0", "}", "\n\nSent from my phone", WHOLE, "[" * 100_000])
def test_what_stands_behind_a_notebook_is_passed_over(rest: str) -> None:
    data = (WHOLE + rest).encode()
    assert sources(data) == EXPECTED
    assert "more than the notebook" in read_loosely(data)[1][0]


@pytest.mark.parametrize("front", ["\0\0", "Content-Type: application/json\r\n\r\n", "\u00a0\n"])
def test_what_stands_in_front_of_a_notebook_is_passed_over(front: str) -> None:
    assert sources((front + WHOLE).encode()) == EXPECTED


def test_wherever_a_notebook_is_cut_its_whole_cells_are_read() -> None:
    first = WHOLE.index("}\n  ,") if "}\n  ," in WHOLE else WHOLE.index('"source"')
    for end in range(WHOLE.index('"cell_type"', first + 80), len(WHOLE), 7):
        cut = WHOLE[:end]
        found = sources(cut.encode())
        assert found == EXPECTED[: len(found)]
        assert len(found) >= cut.count('"source"') - 1
        assert "cut off" in read_loosely(cut.encode())[1][0]


@pytest.mark.parametrize("base", ["", '||||||| 1234567\n   "source": "x = 8"\n'])
def test_of_a_merge_in_git_the_first_side_is_read(base: str) -> None:
    line = '   "source": "x = 2\\nprint(x)"\n'
    assert line in WHOLE
    other = '   "source": "x = 9"\n'
    merged = WHOLE.replace(line, f"<<<<<<< HEAD\n{line}{base}=======\n{other}>>>>>>> theirs\n")
    assert sources(merged.encode()) == EXPECTED
    assert "merge in git" in read_loosely(merged.encode())[1][0]


def test_marks_of_a_merge_inside_a_string_do_no_harm() -> None:
    cells = [{"cell_type": "code", "source": "a = '''\n<<<<<<< HEAD\n=======\n>>>>>>> x\n'''"}]
    assert sources(json.dumps({"cells": cells}).encode()) == [cells[0]["source"]]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_other_encodings_are_read_with_and_without_their_mark(codec: str) -> None:
    assert sources(WHOLE.encode(codec)) == EXPECTED


@pytest.mark.parametrize(
    "data",
    [
        b"My homework is attached.\n",
        b'{"cells": [',
        b'{"cells": [{"cell_type": "code", "sour',
        b"{} {}",
        b"<<<<<<< HEAD\n=======\n>>>>>>> x\n",
        b'{"a": {"b": [1, 2}',
        bytes(range(256)) * 40,
        b"\0" * 4000,
        b'{"cells": [' + b'{"a":' * 200_000,
        b'rubbish {"cells": ' + b"[" * 200_000,
    ],
)
def test_what_holds_no_whole_cell_is_no_notebook(data: bytes) -> None:
    with pytest.raises(SubmissionError, match="not a notebook"):
        read_loosely(data)
