"""The notebook that a student worked on is found, wherever an upload left it, and never through a link."""

import json
from pathlib import Path
from typing import Any

import pytest

from grader.errors import SubmissionError
from grader.grading.choosing import MAX_FOLDERS, choose_notebook, work_in

from .conftest import Workshop


def chosen(folder: Path, workshop: Workshop) -> tuple[str, str]:
    path, remarks = choose_notebook(folder, "tiny", work_in(workshop.course, workshop.chapter))
    return str(path.relative_to(folder)), " ".join(remarks)


def lay(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_ipynb", ".ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def test_a_copy_that_was_worked_on_is_taken_before_the_untouched_original(tmp_path: Path, workshop: Workshop) -> None:
    lay(tmp_path, tiny_ipynb=workshop.student, copy_ipynb=workshop.right())
    name, remark = chosen(tmp_path, workshop)
    assert name == "copy.ipynb"
    assert "copy.ipynb was read" in remark


def test_the_expected_name_wins_where_both_were_worked_on_or_none(tmp_path: Path, workshop: Workshop) -> None:
    both = lay(
        tmp_path / "both", tiny_ipynb=workshop.notebook(add_up="def add_up(n): ..."), copy_ipynb=workshop.right()
    )
    assert chosen(both, workshop)[0] == "tiny.ipynb"
    none = lay(tmp_path / "none", tiny_ipynb=workshop.student, copy_ipynb=workshop.student)
    assert chosen(none, workshop)[0] == "tiny.ipynb"
    doubt = lay(tmp_path / "doubt", tiny_ipynb=workshop.student, a_ipynb=workshop.right(), b_ipynb=workshop.right())
    assert chosen(doubt, workshop)[0] == "tiny.ipynb"


def test_among_several_other_names_the_only_one_with_answers_is_taken(tmp_path: Path, workshop: Workshop) -> None:
    lay(tmp_path, a_ipynb=workshop.student, b_ipynb=workshop.right(), c_ipynb={"no": "notebook"})
    assert chosen(tmp_path, workshop)[0] == "b.ipynb"
    lay(tmp_path, d_ipynb=workshop.right())
    with pytest.raises(SubmissionError, match="none is named"):
        chosen(tmp_path, workshop)


def test_an_answer_without_any_label_is_work_too(tmp_path: Path, workshop: Workshop) -> None:
    bare = workshop.right()
    for cell in bare.cells:
        cell.metadata.clear()
        del cell["id"]
    lay(tmp_path, tiny_ipynb=workshop.student, copy_ipynb=bare)
    assert chosen(tmp_path, workshop)[0] == "copy.ipynb"


@pytest.mark.parametrize(
    "name", ["tiny.ipynb.txt", "tiny.ipynb.json", "Tiny.IPYNB", "archive/tiny.ipynb", "a b/x.ipynb"]
)
def test_another_ending_or_a_folder_of_its_own_is_found(tmp_path: Path, workshop: Workshop, name: str) -> None:
    lay(tmp_path, **{name: workshop.right()})
    found, remark = chosen(tmp_path, workshop)
    assert found == name
    assert remark


def test_what_lies_deeper_hidden_or_behind_a_link_is_not_looked_at(tmp_path: Path, workshop: Workshop) -> None:
    right = workshop.right()
    outside = lay(tmp_path / "outside", tiny_ipynb=right)
    inside = tmp_path / "inside"
    for name in (".ipynb_checkpoints", "__MACOSX", "a/b"):
        (inside / name).mkdir(parents=True)
        (inside / name / "tiny.ipynb").write_text(json.dumps(right))
    (inside / "link").symlink_to(outside)
    with pytest.raises(SubmissionError, match="There is no notebook"):
        chosen(inside, workshop)
    (inside / "real").mkdir()
    (inside / "real" / "tiny.ipynb").symlink_to(outside / "tiny.ipynb")
    with pytest.raises(SubmissionError, match="a link or a device"):
        chosen(inside, workshop)


def test_a_link_beside_the_original_is_never_read(tmp_path: Path, workshop: Workshop) -> None:
    outside = lay(tmp_path / "outside", copy_ipynb=workshop.right())
    inside = lay(tmp_path / "inside", tiny_ipynb=workshop.student)
    (inside / "copy.ipynb").symlink_to(outside / "copy.ipynb")
    assert chosen(inside, workshop)[0] == "tiny.ipynb"


def test_only_so_many_folders_are_looked_into(tmp_path: Path, workshop: Workshop) -> None:
    for number in range(MAX_FOLDERS + 5):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "x.ipynb").write_text("{}")
    with pytest.raises(SubmissionError, match=f"There are {MAX_FOLDERS} notebooks"):
        chosen(tmp_path, workshop)
