"""Every mistake an author can make is said with its place, in plain words, with a remedy."""

import tomllib
from pathlib import Path

import pytest

SLIPS = {
    slip["name"]: slip
    for slip in tomllib.loads((Path(__file__).parent / "slips.toml").read_text(encoding="utf-8"))["slip"]
}


def place(mini, slip):
    """`FILE:LINE` where the problem must be said."""
    name = slip.get("said_of", slip["file"])
    if not slip["at"]:
        return name
    lines = (mini.root / name).read_text(encoding="utf-8").splitlines()
    wanted, _, count = slip["at"].partition("/")
    if wanted.startswith("@"):
        option = wanted[1:] if ":" in wanted else f":label: {wanted[1:]}"
        fences = [
            max(n for n in range(index) if lines[n].startswith("```{code-cell}")) + 1
            for index, line in enumerate(lines)
            if line == option and any("{code-cell}" in above for above in lines[index - 2 : index])
        ]
        return f"{name}:{fences[int(count or 1) - 1]}"
    hits = [number for number, line in enumerate(lines, 1) if wanted in line]
    return f"{name}:{hits[int(count or 1) - 1]}"


@pytest.mark.parametrize("name", SLIPS)
def test_the_mistake_is_said_with_its_place_and_a_remedy(mini, name):
    slip = SLIPS[name]
    mini.edit(slip["file"], slip["old"], slip["new"])
    said = [str(problem) for problem in mini.problems()]
    expected = f"{place(mini, slip)}: {slip['problem']}"
    found = [words for words in said if words.startswith(expected)]
    assert found, f"expected {expected!r} among\n" + "\n".join(said)
    assert slip["remedy"] in found[0].split("\n  remedy: ")[1]


def test_a_right_chapter_has_no_mistakes(mini):
    assert mini.problems() == []


def test_all_mistakes_are_said_at_once_in_the_order_of_the_page(mini):
    mini.edit("solutions/01-tiny/tiny.md", "{quiz}", "{poll}")
    mini.edit("solutions/01-tiny/tiny.md", "[answer]", "[answer, grade]")
    mini.edit("solutions/01-tiny/tiny.md", "{cite:t}`knuth1997`", "{cite:t}`nobody`")
    mini.edit("solutions/01-tiny/hidden.py", '"all zero": 1.0', '"all zero": 2.0')
    said = [problem.problem for problem in mini.problems()]
    words = (
        "'nobody' is not in",
        "unknown tag 'grade'",
        "no rule for the directive {poll}",
        "the criteria of 'shares'",
    )
    assert len(said) == 4
    assert all(line.startswith(start) for line, start in zip(said, words, strict=True))


def test_one_forgotten_fence_is_one_mistake(mini):
    mini.edit("solutions/01-tiny/tiny.md", "after the other.\n:::", "after the other.")
    assert len(mini.problems()) == 1


def test_a_chapter_without_a_folder_is_said_of_its_row(mini):
    mini.second_chapter()
    for path in (mini.root / "solutions" / "02-more").iterdir():
        path.unlink()
    (mini.root / "solutions" / "02-more").rmdir()
    row = mini.line("course.toml", 'id = "02-more"')
    assert str(mini.problems()[0]).startswith(f"course.toml:{row}: 02-more has no folder solutions/02-more")


def test_a_folder_that_is_no_chapter_is_said(mini):
    stray = mini.root / "solutions" / "09-stray"
    stray.mkdir()
    assert mini.problems() == []
    (stray / "stray.md").write_text("# Stray\n")
    assert "solutions/09-stray: the folder is no chapter of course.toml" in str(mini.problems()[0])


def test_a_chapter_without_a_page_is_said(mini):
    mini.page.unlink()
    assert "solutions/01-tiny/tiny.md: the chapter's page is missing" in str(mini.problems()[0])


def test_a_page_in_another_encoding_is_said_with_its_line(mini):
    line = mini.line("solutions/01-tiny/tiny.md", "# Adding")
    mini.page.write_bytes(mini.page.read_bytes().replace(b"Adding and sharing", b"Adding \xe9"))
    assert f"solutions/01-tiny/tiny.md:{line}: the page is not UTF-8 here" in str(mini.problems()[0])


def test_hidden_checks_that_are_missing_are_said(mini):
    mini.chapter.hidden.unlink()
    assert "solutions/01-tiny/hidden.py: the file is missing" in "\n".join(map(str, mini.problems()))


def test_a_page_of_essays_needs_no_hidden_checks(mini):
    text = mini.page.read_text(encoding="utf-8")
    head = text.partition("```{code-cell} python\n:label: add-up\n")[0]
    essay = head + '+++ {"label": "add-up", "tags": ["essay", "points-3"]}\n\nIt is nothing.\n'
    mini.page.write_text(essay, encoding="utf-8")
    for path in (mini.chapter.hidden, mini.chapter.mistakes, mini.chapter.alternatives):
        path.unlink()
    assert mini.problems() == []


def test_links_to_another_chapter_lead_there(mini):
    mini.second_chapter()
    mini.edit(
        "solutions/01-tiny/tiny.md",
        "A sum is",
        "See [](#beyond), [more](../02-more/more.md#beyond) and {doc}`02-more`. A sum is",
    )
    said = [str(problem) for problem in mini.problems() if problem.path.name == "tiny.md"]
    assert said == []
