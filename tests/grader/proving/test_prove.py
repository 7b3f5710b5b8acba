"""`course prove` on the miniature course: silent on the good one, and it names each fault of a bad one."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from grader.course import load_course
from grader.errors import AuthoringError, CourseError
from grader.proving.chapter import prove_chapter
from grader.proving.commands import prove
from grader.proving.material import read_material
from grader.proving.running import run_chapter

MINI = Path(__file__).parent.parent / "fixtures" / "mini"
MORE_MISTAKES = """
MISTAKES += [
    Mistake("add-up", "right", "It is right.", "anything", "def add_up(numbers):\\n    return sum(numbers)"),
    Mistake("add-up", "endless", "No end.", "longer than 0.5 s", "def add_up(numbers):\\n    while 1: pass"),
    Mistake("add-up", "exit", "It ends it all.", "anything", "import os\\nos._exit(0)"),
    Mistake("shares", "wordless", "It has other words.", "no such words",
            "def shares(weights):\\n    return [w / max(weights) for w in weights]"),
]
MISTAKES = [m for m in MISTAKES if m.name not in ("zero-over-zero", "positive-only", "eats-the-list")]
"""
MORE_ALTERNATIVES = """
ALTERNATIVES += [
    Alternative("add-up", "off", "def add_up(numbers):\\n    return sum(numbers) + (len(numbers) > 4)"),
    Alternative("shares", "loud", "def shares(weights):\\n    raise ValueError('no')"),
]
LIBRARY = {"add-up": "tinylib.sharing:add_up", "shares": "tinylib.sharing:add_up"}
"""


def copy_of_mini(folder: Path, **appended: str) -> Path:
    root = folder / "course"
    shutil.copytree(MINI, root)
    for name, text in appended.items():
        path = root / "solutions" / "01-tiny" / f"{name}.py"
        path.write_text(path.read_text() + text)
    return root


def prove_it(root: Path, mutants: bool = False):
    course = load_course(root)
    return prove_chapter(course, course.chapters[0], mutants, seeds=(1, 2))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    library = '\nLIBRARY = {"add-up": "tinylib.sharing:add_up", "shares": "tinylib.sharing:shares"}\n'
    return prove_it(copy_of_mini(tmp_path_factory.mktemp("good"), alternatives=library), mutants=True)


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """Everything that can be wrong at once."""
    root = copy_of_mini(tmp_path_factory.mktemp("bad"), mistakes=MORE_MISTAKES, alternatives=MORE_ALTERNATIVES)
    chapter = root / "solutions" / "01-tiny"
    settings = (root / "course.toml").read_text()
    settings = settings.replace("cell_seconds = 10", "cell_seconds = 0.5")
    (root / "course.toml").write_text(settings.replace("check_seconds = 5", "check_seconds = 0.5"))
    hidden = (chapter / "hidden.py").read_text()
    hidden = hidden.replace('criteria = {"values": 1.0}', 'criteria = {"values": 2.0}')
    hidden = hidden.replace("if not all(", "if total and not all(")  # equal shares are no longer looked at
    (chapter / "hidden.py").write_text(hidden)
    (chapter / "mutants.toml").write_text('shares-00000000 = "it is not a mutant"\n')
    return prove_it(root, mutants=True)


def test_a_good_chapter_has_nothing_wrong(good):
    assert good.all_problems == []
    first, second = good.exercises
    assert (first.exercise, first.reference, first.stub) == ("add-up", 1.0, 0.0)
    assert (second.exercise, second.reference, second.stub) == ("shares", 2.0, 0.0)
    assert second.mistakes == (2, 2)
    assert second.alternatives == (1, 1)
    assert second.library == "yes"


def test_mutants_of_the_reference_are_refused(good):
    for exercise in good.exercises:
        assert exercise.mutants[0] == exercise.mutants[1] > 5
        assert exercise.survivors == {}


def test_it_counts_the_mistakes_that_only_the_hidden_check_sees(good):
    assert [exercise.unseen for exercise in good.exercises] == [2, 1]


@pytest.mark.parametrize(
    "words",
    [
        "add-up: the mistake 'right' gets full marks with 2 of 2 seeds",
        "add-up: the mistake 'exit' came to no end: the process ended with 0",
        "shares: the mistake 'wordless' is refused, but not with the words 'no such words'",
        "add-up: the alternative 'off' gets 0 of 1 points with seed 1",
        "shares: the alternative 'loud' does not pass the visible checks: ValueError: no",
        "shares: the library's own tinylib.sharing:add_up gets 0 of 2 points",
        "add-up: its criteria are worth 2 points, its checks cell 1",
        "shares: the visible checks catch every mistake already",
        "shares: the mutant shares-",
        "mutants.toml explains shares-00000000, which is refused or is no mutant",
    ],
)
def test_each_fault_is_named(bad, words):
    assert any(problem.startswith(words) for problem in bad.all_problems), "\n".join(bad.all_problems)


def test_an_endless_mistake_is_refused_in_the_words_for_time(bad):
    assert not any("endless" in problem for problem in bad.all_problems)


def test_a_survivor_is_shown_with_what_was_changed_and_can_be_explained(bad, tmp_path):
    survivors = bad.exercises[1].survivors
    assert any("1 becomes 2" in diff and "+" in diff for diff in survivors.values())
    reasons = "\n".join(f'{name} = "the hidden check has no case of it"' for name in survivors)
    root = copy_of_mini(tmp_path)
    chapter = root / "solutions" / "01-tiny"
    hidden = (chapter / "hidden.py").read_text()
    (chapter / "hidden.py").write_text(hidden.replace("if not all(", "if total and not all("))
    (chapter / "mutants.toml").write_text(reasons)
    found = prove_it(root, mutants=True)
    assert found.exercises[1].survivors == {}
    assert found.exercises[1].explained.keys() == survivors.keys()
    assert not any("mutant" in problem for problem in found.all_problems)


def test_an_explanation_needs_a_reason(tmp_path):
    root = copy_of_mini(tmp_path)
    (root / "solutions" / "01-tiny" / "mutants.toml").write_text('shares-00000000 = ""\n')
    with pytest.raises(AuthoringError, match="has no reason"):
        prove_it(root)


def test_an_exercise_without_hidden_check_or_candidates_is_named(tmp_path):
    root = copy_of_mini(
        tmp_path,
        hidden="\ndel Shares\n",
        mistakes="\nMISTAKES = [m for m in MISTAKES if m.exercise == 'shares']\n",
        alternatives="\nALTERNATIVES = [a for a in ALTERNATIVES if a.exercise == 'shares']\n",
    )
    page = root / "solutions" / "01-tiny" / "tiny.md"
    page.write_text(page.read_text().replace(":::{mistakes} add-up\n:::\n", ""))
    problems = prove_it(root).all_problems
    assert problems == [
        "add-up: mistakes.py has no mistake for it",
        "add-up: alternatives.py has no other right answer for it",
        "shares: there is no hidden check for it; add a class to hidden.py",
    ]


def test_trials_come_back_in_the_order_of_the_candidates_whatever_their_time(tmp_path):
    slow = "import time\\ntime.sleep(1)\\ndef add_up(numbers):\\n    return 0"
    text = f"\nMISTAKES.insert(0, Mistake('add-up', 'slow', 'It is slow.', 'whatever its sign', '{slow}'))\n"
    course = load_course(copy_of_mini(tmp_path, mistakes=text))
    chapter = course.chapters[0]
    cells = read_material(course, chapter)
    _, tried = run_chapter(course, chapter, cells, False, (1,), 2, lambda done, count: None)
    names = [item.candidate.name for item in tried if item.candidate.kind == "mistake"]
    assert names == ["slow", "positive-only", "eats-the-list", "of-the-largest", "zero-over-zero"]


def test_a_forbidden_shortcut_is_refused_with_its_sentence(tmp_path):
    root = copy_of_mini(tmp_path, hidden="\nAddUp.forbids = {'math.fsum': 'Write the loop yourself.'}\n")
    problems = prove_it(root).all_problems
    assert problems == [
        "add-up: the alternative 'fsum' gets 0 of 1 points with seed 1: values: Write the loop yourself."
    ]


def test_what_a_visible_check_rebinds_does_not_change_what_is_probed(tmp_path):
    root = copy_of_mini(tmp_path)
    page = root / "solutions" / "01-tiny" / "tiny.md"
    page.write_text(page.read_text().replace("check_shares(shares)\n", "check_shares(shares)\nshares = None\n"))
    assert prove_it(root).all_problems == []


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        (
            "mistakes",
            "\nMISTAKES[0] = Mistake('adding', 'a', 'b', 'c', 'd')\n",
            "there is no exercise 'adding'",
        ),
        ("alternatives", "\nLIBRARY = ['tinylib']\n", "LIBRARY"),
        ("hidden", "\n1 / 0\n", "cannot be imported: ZeroDivisionError"),
        ("hidden", "\nimport os\nos._exit(3)\n", "ended the process that proves it"),
    ],
)
def test_files_that_cannot_be_used_are_an_error_and_no_trace(tmp_path, name, text, match):
    with pytest.raises(CourseError, match=match):
        prove_it(copy_of_mini(tmp_path, **{name: text}))


def test_a_page_whose_own_cell_raises_is_an_authors_error(tmp_path):
    root = copy_of_mini(tmp_path)
    page = root / "solutions" / "01-tiny" / "tiny.md"
    page.write_text(page.read_text().replace("import tinylib\n", "import tinylib\nimport no_such_module\n"))
    with pytest.raises(AuthoringError, match=r"import tinylib.*no_such_module"):
        prove_it(root)


def test_the_command_prints_the_table_writes_json_and_fails_on_a_fault(tmp_path, monkeypatch):
    good = copy_of_mini(tmp_path)
    monkeypatch.setenv("COURSE_ROOT", str(good))
    out = tmp_path / "proof.json"
    done = CliRunner().invoke(prove, ["01-tiny", "--seeds", "1", "--json", str(out)])
    assert done.exit_code == 0, done.output
    assert "shares" in done.output
    assert json.loads(out.read_text())[0]["all_problems"] == []

    bad = copy_of_mini(tmp_path / "bad", alternatives="\nALTERNATIVES.pop()\n")
    monkeypatch.setenv("COURSE_ROOT", str(bad))
    done = CliRunner().invoke(prove, ["--seeds", "1"])
    assert isinstance(done.exception, CourseError)
    assert "1 thing is wrong" in str(done.exception)
    assert "alternatives.py has no other right answer" in done.output
