"""The three notebooks of a chapter: what each holds, what it must not hold, and stock nbgrader's view."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from grader.authoring import load_page
from grader.authoring.notebooks import (
    CODE_STUB,
    TEXT_STUB,
    as_text,
    book_notebook,
    hand_out,
    source_notebook,
    strip_solutions,
    student_notebook,
)

PAGE = "solutions/01-tiny/tiny.md"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)


def cell(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def solution_lines(source):
    inside = source.split("### BEGIN SOLUTION\n")[1].split("### END SOLUTION")[0]
    return [line.strip() for line in inside.splitlines() if line.strip()]


def test_another_process_builds_the_same_bytes(mini):
    program = (
        "import sys; from pathlib import Path; from grader.course import load_course\n"
        "from grader.authoring.notebooks import *\n"
        "course = load_course(Path(sys.argv[1])); chapter = course.chapters[0]\n"
        "made = [make(course, chapter) for make in (source_notebook, student_notebook, book_notebook)]\n"
        "sys.stdout.reconfigure(newline='\\n', encoding='utf-8')\n"
        "sys.stdout.write(''.join(map(as_text, made)))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program, str(mini.root)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) > 5000


@pytest.mark.parametrize("make", [source_notebook, student_notebook, book_notebook])
def test_every_notebook_is_valid_with_ids_of_its_own(mini, make):
    notebook = make(mini.course, mini.chapter)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert notebook.metadata.kernelspec.name == "python3"


def test_equal_cells_get_different_ids(mini):
    mini.append("\n```{code-cell} python\n1\n```\n\n```{code-cell} python\n1\n```\n")
    ids = [cell.id for cell in student_notebook(mini.course, mini.chapter).cells]
    assert len(set(ids)) == len(ids)
    assert ids[-1] == f"{ids[-2]}-2"


def test_an_edited_cell_leaves_the_ids_of_the_others(mini):
    before = [cell.id for cell in student_notebook(mini.course, mini.chapter).cells]
    mini.edit(PAGE, "A sum is the whole", "A sum is everything")
    mini.edit(PAGE, "total = sum(weights)", "total = sum(list(weights))")
    after = [cell.id for cell in student_notebook(mini.course, mini.chapter).cells]
    assert [new for new, old in zip(after, before, strict=True) if new != old] == [after[1]]


def test_nbgrader_reads_roles_and_points_from_the_tags(mini):
    source = source_notebook(mini.course, mini.chapter)
    answer, checks = cell(source, "shares").metadata.nbgrader, cell(source, "shares-checks").metadata.nbgrader
    assert (answer.grade, answer.solution, answer.locked, answer.grade_id) == (False, True, False, "shares")
    assert (checks.grade, checks.solution, checks.locked, checks.grade_id) == (
        True,
        False,
        True,
        "shares-checks",
    )
    assert checks.points == 2
    assert "points" not in answer
    assert "nbgrader" not in source.cells[0].metadata


def test_nbgraders_own_validator_accepts_source_and_student_notebook(mini):
    from nbgrader.nbgraderformat import MetadataValidator
    from nbgrader.utils import compute_checksum

    for make in (source_notebook, student_notebook):
        MetadataValidator().validate_nb(make(mini.course, mini.chapter))
    for made in student_notebook(mini.course, mini.chapter).cells:
        if "nbgrader" in made.metadata:
            assert made.metadata.nbgrader.checksum == compute_checksum(made)


def test_each_checks_cell_of_the_source_asks_the_hidden_check_first(mini):
    source = source_notebook(mini.course, mini.chapter)
    assert cell(source, "shares-checks").source.startswith(
        "### BEGIN HIDDEN TESTS\n"
        "from grader.stock import hidden_check\n"
        'hidden_check("01-tiny", "shares", globals())\n'
        "### END HIDDEN TESTS\n"
        "def check_shares(shares):"
    )


def test_the_student_notebook_holds_no_line_of_a_solution_or_a_hidden_check(mini):
    student = student_notebook(mini.course, mini.chapter)
    sources = "\n".join(cell.source for cell in student.cells)
    lines = {line.strip() for line in sources.splitlines()}
    page = load_page(mini.course, mini.chapter)
    for exercise in page.exercises:
        assert not lines & set(solution_lines(exercise.answer))
    for words in ("SOLUTION", "HIDDEN", "hidden_check", "grader."):
        assert words not in sources
    for module in (mini.chapter.hidden, mini.chapter.alternatives):
        code = [line.strip() for line in module.read_text().splitlines() if len(line.strip()) > 25]
        assert code
        assert not lines & set(code)


def test_a_stub_keeps_signature_and_docstring_and_says_what_to_do(mini):
    student = student_notebook(mini.course, mini.chapter)
    assert cell(student, "shares").source == (
        'def shares(weights):\n    """Each weight\'s share of the whole."""\n'
        + "\n".join(f"    {line}" for line in CODE_STUB.splitlines())
    )


def test_answers_and_checks_may_raise_and_checks_are_locked(mini):
    student = student_notebook(mini.course, mini.chapter)
    for made in student.cells:
        role = made.metadata.get("nbgrader")
        assert made.metadata.get("tags", []) == (["raises-exception"] if made.cell_type == "code" else [])
        if role:
            assert made.metadata.deletable is False
            assert made.metadata.get("editable", True) is not role.locked


def test_an_essay_is_a_graded_markdown_cell_with_a_stub(mini):
    mini.edit("course.toml", "points = 3", "points = 4.5")
    mini.append(
        "\n:::{exercise} Why equal shares?\n:label: why\n:number: 1.3\n:difficulty: 1\n:importance: 1\n"
        ':minutes: 5\nSay why.\n:::\n\n+++ {"label": "why", "tags": ["essay", "points-1.5"]}\n\n'
        "Because of *symmetry*.\n\n+++\n\nThe end.\n"
    )
    assert mini.problems() == []
    essay = cell(student_notebook(mini.course, mini.chapter), "why")
    assert essay.cell_type == "markdown"
    assert essay.source == TEXT_STUB
    nbgrader = essay.metadata.nbgrader
    assert (nbgrader.grade, nbgrader.solution, nbgrader.points) == (True, True, 1.5)
    assert cell(source_notebook(mini.course, mini.chapter), "why").source == "Because of *symmetry*."
    exercise = load_page(mini.course, mini.chapter).exercise("why")
    assert exercise.essay
    assert (exercise.points, exercise.answer) == (1.5, "Because of *symmetry*.")


def test_the_steps_are_those_of_nbgraders_generate_assignment():
    import inspect

    from nbgrader.converters import GenerateAssignment

    without = {"IncludeHeaderFooter", "InstantiateTests", "SaveCells"}  # files, autotests, and the database
    stock = [step.__name__ for step in GenerateAssignment().preprocessors if step.__name__ not in without]
    source = inspect.getsource(hand_out)
    ours = [line.strip(" ,").removeprefix("steps.") for line in source.splitlines() if "steps." in line]
    assert ours == stock


def test_stock_nbgrader_makes_the_same_student_notebook(mini, tmp_path, monkeypatch):
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # for alembic
    config = Config()
    config.CourseDirectory.root = str(tmp_path / "class")
    config.CourseDirectory.assignment_id = "01-tiny"
    config.CourseDirectory.db_url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    config.ClearSolutions.code_stub = {"python": CODE_STUB}
    config.ClearSolutions.text_stub = TEXT_STUB
    path = tmp_path / "class" / "source" / "01-tiny" / "tiny.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(as_text(source_notebook(mini.course, mini.chapter)), encoding="utf-8")
    converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
    converter.start()
    released = nbformat.read(tmp_path / "class" / "release" / "01-tiny" / "tiny.ipynb", as_version=4)
    assert as_text(released) == as_text(student_notebook(mini.course, mini.chapter))


def test_run_all_goes_through_an_untouched_notebook(mini, monkeypatch):
    import nbclient

    monkeypatch.setenv("PYTHONPATH", str(mini.root / "lib"))
    ran = nbclient.NotebookClient(student_notebook(mini.course, mini.chapter), kernel_name="python3").execute()
    errors = {cell.id: out.ename for cell in ran.cells for out in cell.get("outputs", []) if out.output_type == "error"}
    assert errors == {"add-up-checks": "NotImplementedError", "shares-checks": "NotImplementedError"}


def test_images_travel_inside_the_cell(mini):
    (mini.chapter.figures / "dot.png").write_bytes(PNG)
    mini.append("\n+++\n\n![A dot](figures/dot.png) and ![Parts of a bar](figures/parts.svg)\n")
    assert mini.problems() == []
    last = student_notebook(mini.course, mini.chapter).cells[-1]
    assert last.source.startswith("![A dot](attachment:figures-dot.png) and <img")
    assert 'alt="Parts of a bar" src="data:image/svg+xml;base64,' in last.source
    assert list(last.attachments["figures-dot.png"]) == ["image/png"]


def test_the_opening_says_course_edition_and_chapter(mini):
    first = student_notebook(mini.course, mini.chapter).cells[0].source
    assert first.startswith("*Tiny Numbers by Hand*, edition 0.1 · chapter 1: Adding and sharing · 3 points")


def test_the_book_keeps_myst_and_has_no_hidden_checks(mini):
    mini.edit(PAGE, "import tinylib", ':alt: "A bar chart"\n:tags: [hide-input]\n\nimport tinylib')
    book = book_notebook(mini.course, mini.chapter)
    sources = "\n".join(cell.source for cell in book.cells)
    assert "{cite:t}`knuth1997`" in sources
    assert "hidden_check" not in sources
    assert "total += number" in sources
    shown = next(cell for cell in book.cells if cell.source.startswith("import tinylib"))
    assert shown.metadata.mystnb == {"image": {"alt": "A bar chart"}}
    assert shown.metadata.tags == ["hide-input"]


def test_stripping_keeps_outputs_and_the_original(mini):
    book = book_notebook(mini.course, mini.chapter)
    cell(book, "shares").outputs = [nbformat.v4.new_output("stream", text="0.25\n")]
    stripped = strip_solutions(book)
    assert cell(stripped, "shares").outputs[0].text == "0.25\n"
    assert "BEGIN SOLUTION" not in "\n".join(cell.source for cell in stripped.cells)
    assert CODE_STUB.splitlines()[1] in cell(stripped, "shares").source
    assert "BEGIN SOLUTION" in cell(book, "shares").source


def test_with_solutions_the_answers_are_folded_and_whole(mini):
    book = book_notebook(mini.course, mini.chapter, with_solutions=True)
    answer = cell(book, "add-up")
    assert answer.metadata.tags == ["hide-input"]
    assert answer.metadata.mystnb.code_prompt_show == "Show the answer"
    assert "SOLUTION" not in answer.source
    assert "    total += number" in answer.source
    assert strip_solutions(book) == book


def test_a_page_with_a_mistake_makes_no_notebook(mini):
    from grader.errors import AuthoringError

    mini.edit(PAGE, "[answer]", "[answer, grade]")
    with pytest.raises(AuthoringError, match="unknown tag 'grade'"):
        student_notebook(mini.course, mini.chapter)
