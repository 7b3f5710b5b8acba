"""Damaged but honest: the points stay what they were before the damage."""

import copy
import json
from collections.abc import Callable
from typing import Any

import nbformat
import pytest

from grader.errors import SubmissionError
from grader.grading.extras import STUDENT_TAG
from grader.grading.loose import MAX_CELLS, MAX_TEXT, read_loosely
from grader.grading.skeleton import Prepared, rebuild

from .conftest import RIGHT, Workshop


def as_bytes(notebook: Any) -> bytes:
    return json.dumps(notebook).encode()


def rebuilt(workshop: Workshop, notebook: Any) -> Prepared:
    cells, _ = read_loosely(as_bytes(notebook))
    return rebuild(workshop.student, cells)


def given_cells(notebook: Any) -> list[tuple[str, str]]:
    """What is the instructor's: ids and sources of all cells that are not answered and not the student's."""
    return [
        (cell.id, cell.source)
        for cell in notebook.cells
        if STUDENT_TAG not in cell.metadata.get("tags", ()) and not cell.metadata.get("nbgrader", {}).get("solution")
    ]


def delete_checks(notebook: Any) -> None:
    notebook.cells.remove(Workshop.cell(notebook, "shares-checks"))


def edit_checks(notebook: Any) -> None:
    Workshop.cell(notebook, "shares-checks").source = "print('all is well')"


def duplicate_checks(notebook: Any) -> None:
    notebook.cells.append(copy.deepcopy(Workshop.cell(notebook, "shares-checks")))


def retype_checks(notebook: Any) -> None:
    cell = Workshop.cell(notebook, "shares-checks")
    cell.cell_type = "markdown"


def unlock_checks(notebook: Any) -> None:
    for label in ("add-up-checks", "shares-checks"):
        Workshop.cell(notebook, label).metadata["nbgrader"].update(
            locked=False, grade=False, points=99, schema_version=1
        )


def skip_tags(notebook: Any) -> None:
    for cell in notebook.cells:
        cell.metadata["tags"] = ["skip-execution"]


def delete_all_but_the_answers(notebook: Any) -> None:
    notebook.cells = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]


def lose_all_metadata(notebook: Any) -> None:
    for cell in notebook.cells:
        cell.metadata.clear()
        del cell["id"]


def swap_grade_ids(notebook: Any) -> None:
    first, second = Workshop.cell(notebook, "add-up"), Workshop.cell(notebook, "shares")
    first.metadata["nbgrader"]["grade_id"], second.metadata["nbgrader"]["grade_id"] = "shares", "add-up"
    first["id"], second["id"] = "shares", "add-up"


def swap_an_answer_with_its_checks(notebook: Any) -> None:
    answer, checks = Workshop.cell(notebook, "shares"), Workshop.cell(notebook, "shares-checks")
    answer.source, checks.source = checks.source, answer.source


def answer_in_place_of_a_given_cell(notebook: Any) -> None:
    answer = Workshop.cell(notebook, "shares")
    next(cell for cell in notebook.cells if cell.cell_type == "code").source = answer.source
    notebook.cells.remove(answer)


def retype_an_answer(notebook: Any) -> None:
    Workshop.cell(notebook, "shares").cell_type = "raw"


def move_answers_to_the_end(notebook: Any) -> None:
    for label in ("add-up", "shares"):
        cell = Workshop.cell(notebook, label)
        notebook.cells.remove(cell)
        notebook.cells.append(cell)


def answer_in_a_new_cell(notebook: Any) -> None:
    stub = Workshop.cell(notebook, "shares")
    place = notebook.cells.index(stub)
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(stub.source))
    stub.source = "def shares(weights):\n    raise NotImplementedError\n"


def both_answers_in_one_cell(notebook: Any) -> None:
    first, second = Workshop.cell(notebook, "add-up"), Workshop.cell(notebook, "shares")
    first.source += "\n\n" + second.source
    notebook.cells.remove(second)


def paste_the_stub_behind(notebook: Any, stub: Any) -> None:
    notebook.cells.insert(notebook.cells.index(Workshop.cell(notebook, "shares")) + 1, copy.deepcopy(stub))


def split_an_answer(notebook: Any) -> None:
    cell = Workshop.cell(notebook, "shares")
    head, rest = cell.source.split("\n", 1)
    second = copy.deepcopy(cell)
    cell.source, second.source, second["id"] = head, rest, "another"
    notebook.cells.insert(notebook.cells.index(cell) + 1, second)


def add_junk(notebook: Any) -> None:
    notebook.cells.insert(0, {"cell_type": "code", "metadata": None, "source": 7})
    notebook.cells.insert(0, {"cell_type": 3, "source": ["x", 3]})
    notebook.cells.insert(0, "no cell")
    for cell in notebook.cells[3:]:
        cell["stray"] = {"key": [None]}


def change_line_ends(notebook: Any) -> None:
    for cell in notebook.cells:
        cell.source = cell.source.replace("\n", "  \r\n")


DAMAGES = [
    delete_checks,
    edit_checks,
    duplicate_checks,
    retype_checks,
    unlock_checks,
    skip_tags,
    delete_all_but_the_answers,
    lose_all_metadata,
    swap_grade_ids,
    swap_an_answer_with_its_checks,
    answer_in_place_of_a_given_cell,
    retype_an_answer,
    move_answers_to_the_end,
    both_answers_in_one_cell,
    split_an_answer,
    add_junk,
    change_line_ends,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_notebook_is_rebuilt_with_its_answers(workshop: Workshop, damage: Callable[[Any], None]) -> None:
    notebook = workshop.right()
    damage(notebook)
    prepared = rebuilt(workshop, notebook)
    assert given_cells(prepared.notebook) == given_cells(workshop.student)
    namespaces = {}
    for label, name in (("add-up", "add_up"), ("shares", "shares")):
        namespaces[label] = {}
        exec(prepared.answers[label], namespaces[label])
        assert name in namespaces[label]
    assert namespaces["shares"]["shares"]([1, 3]) == [0.25, 0.75]
    assert namespaces["add-up"]["add_up"]([1, 3]) == 4


def test_all_damages_together_get_the_undamaged_score(workshop: Workshop) -> None:
    for damage in (delete_all_but_the_answers, lose_all_metadata, swap_grade_ids, answer_in_a_new_cell):
        notebook = workshop.right()
        damage(notebook)
        workshop.submit(damage.__name__, notebook)
    assert set(workshop.points().values()) == {3}


def test_repairs_are_told_in_words(workshop: Workshop) -> None:
    notebook = workshop.right()
    delete_checks(notebook)
    retype_an_answer(notebook)
    assert rebuilt(workshop, notebook).repairs == [
        "The answer cell of shares was no code cell any more; it was read as code.",
        "The cell shares-checks was missing; the course's own was used.",
    ]
    assert rebuilt(workshop, workshop.right()).repairs == []
    lost = workshop.right()
    lost.cells = [cell for cell in lost.cells if cell.metadata.get("nbgrader", {}).get("grade_id") != "add-up"]
    assert rebuilt(workshop, lost).repairs == ["The answer cell of add-up is missing; it counts as not answered."]


def test_a_pasted_stub_does_not_undo_an_answer(workshop: Workshop) -> None:
    notebook = workshop.right()
    paste_the_stub_behind(notebook, Workshop.cell(workshop.student, "shares"))
    prepared = rebuilt(workshop, notebook)
    assert prepared.answers["shares"] == RIGHT["shares"]
    assert all(STUDENT_TAG not in cell.metadata.get("tags", ()) for cell in prepared.notebook.cells)


def test_a_split_answer_leaves_no_rest_behind(workshop: Workshop) -> None:
    notebook = workshop.right()
    split_an_answer(notebook)
    prepared = rebuilt(workshop, notebook)
    assert [cell.id for cell in prepared.notebook.cells] == [cell.id for cell in workshop.student.cells]
    assert prepared.repairs == ["The answer cell of shares had been split; its parts were joined."]


def test_an_answer_below_its_untouched_stub_is_found(workshop: Workshop) -> None:
    notebook = workshop.right()
    answer_in_a_new_cell(notebook)
    Workshop.cell(notebook, "shares").source = Workshop.cell(workshop.student, "shares").source
    assert rebuilt(workshop, notebook).answers["shares"] == RIGHT["shares"]


def test_the_students_own_cells_stay_where_they_stood(workshop: Workshop) -> None:
    notebook = workshop.right()
    place = notebook.cells.index(Workshop.cell(notebook, "shares"))
    notebook.cells.insert(place, nbformat.v4.new_code_cell("own = 1"))
    notebook.cells.insert(0, nbformat.v4.new_code_cell("first = 1"))
    cells = rebuilt(workshop, notebook).notebook.cells
    assert cells[0].source == "first = 1"
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    assert sources.index("own = 1") == sources.index(RIGHT["shares"]) - 1


def test_an_edited_given_cell_keeps_what_it_imported(workshop: Workshop) -> None:
    notebook = workshop.right()
    plain = next(cell for cell in notebook.cells if cell.cell_type == "code")
    original = plain.source
    plain.source = "import math"
    sources = [cell.source for cell in rebuilt(workshop, notebook).notebook.cells]
    assert sources.index("import math") == sources.index(original) + 1
    plain.source = original + "\nimport math"
    sources = [cell.source for cell in rebuilt(workshop, notebook).notebook.cells]
    assert original not in sources
    assert original + "\nimport math" in sources


def in_nbformat_3(notebook: Any) -> bytes:
    cells = [
        {
            "cell_type": cell.cell_type,
            "metadata": cell.metadata,
            "input": cell.source.splitlines(keepends=True),
        }
        for cell in notebook.cells
    ]
    return json.dumps({"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}).encode()


@pytest.mark.parametrize(
    "saved",
    [
        as_bytes,
        in_nbformat_3,
        lambda notebook: b"\xef\xbb\xbf" + as_bytes(notebook),
        lambda notebook: json.dumps(notebook).encode("utf-16"),
        lambda notebook: json.dumps({**notebook, "nbformat": 5, "extra": {}}).encode(),
        lambda notebook: as_bytes(notebook).replace(b"Adding and sharing", b"\xe4dding"),
        lambda notebook: as_bytes(notebook).replace(b"return float(sum(numbers))", b"return sum(numbers)#\\ud800"),
    ],
    ids=["nbformat 4", "nbformat 3", "BOM", "UTF-16", "nbformat 5", "Latin-1", "half a surrogate"],
)
def test_a_notebook_saved_in_another_way_is_read(workshop: Workshop, saved: Callable[[Any], bytes]) -> None:
    cells, _ = read_loosely(saved(workshop.right()))
    prepared = rebuild(workshop.student, cells)
    nbformat.validate(prepared.notebook)
    nbformat.writes(prepared.notebook).encode()
    assert "sum(numbers)" in prepared.answers["add-up"]
    assert prepared.answers["shares"] == RIGHT["shares"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "not valid JSON (line 1)"),
        (b"\x00\x01\x02", "not valid JSON"),
        (b"[1, 2]", "no notebook's JSON"),
        (b"{}", "no list of cells"),
        (b'{"cells": 7}', "no list of cells"),
        (b'{"worksheets": 7}', "no list of cells"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"cells": ' + b"[" * 200_000, "nested too deeply"),
        (b"1" * 10_000, "not valid JSON"),
    ],
)
def test_what_is_no_notebook_is_refused_in_plain_words(data: bytes, words: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        read_loosely(data)
    assert words in caught.value.problem


def test_ten_thousand_cells_are_cut(workshop: Workshop) -> None:
    notebook = workshop.right()
    notebook.cells += [nbformat.v4.new_code_cell("x = 1") for _ in range(10_000)]
    cells, remarks = read_loosely(as_bytes(notebook))
    assert len(cells) == MAX_CELLS
    assert "only the first" in remarks[0]
    prepared = rebuild(workshop.student, cells)
    assert len(prepared.notebook.cells) < 1000
    assert any("were run" in repair for repair in prepared.repairs)


def test_text_without_end_is_read_to_a_bound_and_small_cells_behind_it_still_are() -> None:
    large = {"cell_type": "code", "source": "x = (1,\n" * 20_000}
    small = {"cell_type": "code", "source": "y = 2"}
    cells, remarks = read_loosely(json.dumps({"cells": [large] * 30 + [small]}).encode())
    assert sum(len(cell.source) for cell in cells) <= MAX_TEXT
    assert cells[-1].source == "y = 2"
    assert any("some were passed over" in remark for remark in remarks)
