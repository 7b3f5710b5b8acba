"""Split cells are joined, merged ones taken apart, stray characters taken out; whole cells stay as they are."""

import json
from typing import Any

import pytest
from nbformat.v4 import new_code_cell

from grader.grading.extras import STUDENT_TAG
from grader.grading.loose import read_loosely
from grader.grading.mending import MOST_CHARACTERS
from grader.grading.skeleton import Prepared, rebuild

from .conftest import RIGHT, Workshop

LONGER = (
    "def shares(weights):\n"
    '    """Each weight\'s share."""\n'
    "\n"
    "    total = sum(weights)\n"
    "    if not total:\n"
    "        return [1 / len(weights)] * len(weights)\n"
    "    return [\n"
    "        weight / total\n"
    "        for weight in weights\n"
    "    ]"
)


def rebuilt(workshop: Workshop, notebook: Any) -> Prepared:
    return rebuild(workshop.student, read_loosely(json.dumps(notebook).encode())[0])


def own(prepared: Prepared) -> list[str]:
    return [cell.source for cell in prepared.notebook.cells if STUDENT_TAG in cell.metadata.get("tags", ())]


def at(notebook: Any, label: str) -> int:
    return notebook.cells.index(Workshop.cell(notebook, label))


def replaced(workshop: Workshop, sources: list[str], label: str = "shares", labelled: bool = False) -> Any:
    """A right notebook with several cells in place of an answer's; the first has its label, or each has."""
    notebook = workshop.right()
    cell = Workshop.cell(notebook, label)
    place = at(notebook, label)
    more = [new_code_cell(source, metadata=cell.metadata if labelled else {}) for source in sources[1:]]
    cell.source = sources[0]
    notebook.cells[place + 1 : place + 1] = more
    return notebook


def lines_but_empty(source: str) -> list[str]:
    return [line for line in source.split("\n") if line.strip()]


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("line", range(1, LONGER.count("\n") + 1))
def test_an_answer_split_at_any_line_is_whole_again(workshop: Workshop, line: int, labelled: bool) -> None:
    lines = LONGER.split("\n")
    notebook = replaced(workshop, ["\n".join(lines[:line]), "\n".join(lines[line:])], labelled=labelled)
    prepared = rebuilt(workshop, notebook)
    assert lines_but_empty(prepared.answers["shares"]) == lines_but_empty(LONGER)
    assert own(prepared) == []
    assert any("had been split" in words for words in prepared.repairs)


def test_an_answer_split_in_four_is_whole_again(workshop: Workshop) -> None:
    lines = LONGER.split("\n")
    parts = ["\n".join(lines[a:b]) for a, b in ((0, 2), (2, 4), (4, 7), (7, 10))]
    assert lines_but_empty(rebuilt(workshop, replaced(workshop, parts)).answers["shares"]) == lines_but_empty(LONGER)


@pytest.mark.parametrize("first", ["add-up", "shares", "add-up-checks"])
def test_answers_and_checks_in_one_cell_are_taken_apart(workshop: Workshop, first: str) -> None:
    notebook = workshop.right()
    cells = [Workshop.cell(notebook, label) for label in ("add-up", "add-up-checks", "shares", "shares-checks")]
    kept = Workshop.cell(notebook, first)
    whole = "\n\n".join(cell.source for cell in cells)
    for cell in cells:
        if cell is not kept:
            notebook.cells.remove(cell)
    kept.source = whole
    prepared = rebuilt(workshop, notebook)
    assert {label: source.strip() for label, source in prepared.answers.items()} == {
        label: source.strip() for label, source in RIGHT.items()
    }
    assert own(prepared) == []
    given = [cell.source for cell in workshop.student.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert [source for source in given if source in [cell.source for cell in prepared.notebook.cells]] == given


def test_what_stands_between_two_answers_stays_between_them(workshop: Workshop) -> None:
    second = f"half = 2\n\n\n@staticmethod\n# why not\n{RIGHT['shares']}"
    notebook = replaced(workshop, [f"{RIGHT['add-up']}\n{second}"], label="add-up")
    notebook.cells.remove(Workshop.cell(notebook, "shares"))
    prepared = rebuilt(workshop, notebook)
    assert "half = 2" in prepared.answers["add-up"]
    assert prepared.answers["shares"].startswith("@staticmethod\n# why not\ndef shares")


def test_a_definition_inside_a_text_is_no_border(workshop: Workshop) -> None:
    source = f'{RIGHT["add-up"]}\nNOTE = """\ndef shares(weights):\n    ...\n"""\n'
    prepared = rebuilt(workshop, replaced(workshop, [source], label="add-up"))
    assert prepared.answers["add-up"] == source
    assert prepared.answers["shares"] == RIGHT["shares"]


@pytest.mark.parametrize(
    "source",
    [
        RIGHT["shares"].replace("    ", "\u00a0\u00a0\u00a0 "),
        RIGHT["shares"].replace("(", "(\u200b"),
        "\ufeff" + RIGHT["shares"],
        "\n".join(f"    {line}" if line else line for line in RIGHT["shares"].split("\n")),
        "\n".join([">>> " + RIGHT["shares"].strip().replace("\n", "\n... ")]),
        "In [3]: " + RIGHT["shares"].strip().replace("\n", "\n   ...: "),
        RIGHT["shares"] + "\nprint(\u201cdone\u201d)",
    ],
    ids=["hard spaces", "zero width", "byte order mark", "indented", "prompts", "IPython's prompts", "quotes"],
)
@pytest.mark.parametrize("labelled", [True, False])
def test_an_answer_with_stray_characters_is_python_again(workshop: Workshop, source: str, labelled: bool) -> None:
    notebook = replaced(workshop, [source])
    if not labelled:
        cell = Workshop.cell(notebook, "shares")
        cell.metadata.clear()
        cell["id"] = "lost"
    answer = rebuilt(workshop, notebook).answers["shares"]
    compile(answer, "answer", "exec")
    assert answer.startswith(RIGHT["shares"].strip())


@pytest.mark.parametrize(
    "source",
    [
        'NAME = "a\u00a0b\u2019s"\n' + RIGHT["shares"],
        "%%time\n" + RIGHT["shares"],
        "!ls\n" + RIGHT["shares"],
        RIGHT["shares"] + "\ndef unfinished(",
    ],
)
def test_what_is_python_or_hopeless_stays_as_it_was_written(workshop: Workshop, source: str) -> None:
    assert rebuilt(workshop, replaced(workshop, [source])).answers["shares"] == source


def test_two_whole_cells_with_one_label_are_two_cells(workshop: Workshop) -> None:
    draft = "def shares(weights):\n    return weights\n"
    prepared = rebuilt(workshop, replaced(workshop, [draft, RIGHT["shares"]], labelled=True))
    assert prepared.answers["shares"] == draft
    assert own(prepared) == [RIGHT["shares"]]


def test_a_notebook_of_a_million_characters_is_taken_as_it_is(workshop: Workshop) -> None:
    """A hostile one must not hold up the class: mending reads each cell several times."""
    notebook = replaced(workshop, [RIGHT["add-up"], "    return 0"], label="add-up")
    cells = rebuilt(workshop, notebook)
    assert any("had been split" in words for words in cells.repairs)
    notebook.cells.append(new_code_cell("(" * (MOST_CHARACTERS // 10)))
    notebook.cells += [new_code_cell("x = 1\n" * (MOST_CHARACTERS // 60)) for _ in range(10)]
    assert not any("had been split" in words for words in rebuilt(workshop, notebook).repairs)


@pytest.mark.parametrize("kind", ["raw", "markdown"])
def test_an_answer_that_became_text_and_lost_its_label_is_found(workshop: Workshop, kind: str) -> None:
    notebook = workshop.right()
    cell = Workshop.cell(notebook, "shares")
    cell.metadata.clear()
    cell.update(cell_type=kind, id="lost")
    assert rebuilt(workshop, notebook).answers["shares"] == RIGHT["shares"]
    about = new_code_cell("About `shares`:\n\ndef shares(weights):\n    ...", id="prose")
    about["cell_type"] = kind
    notebook.cells[notebook.cells.index(cell)] = about
    assert "NotImplementedError" in rebuilt(workshop, notebook).answers["shares"], "prose is no answer"


def test_code_is_taken_before_the_same_name_in_text(workshop: Workshop) -> None:
    notebook = replaced(workshop, ["x = 1", RIGHT["shares"]])
    old = new_code_cell("def shares(weights):\n    return weights\n")
    old["cell_type"] = "raw"
    notebook.cells.insert(2, old)
    Workshop.cell(notebook, "shares").metadata.clear()
    assert rebuilt(workshop, notebook).answers["shares"] == RIGHT["shares"]
