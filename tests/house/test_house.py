"""The house keeps its promises: the README's tree and commands, the pins, the module map, no trace of this machine."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from grader.cli import COMMANDS
from grader.course import load_course, module_matches, module_name


def tracked(repository):
    """The files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=repository,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [repository / name for name in listed.split("\0") if name and (repository / name).is_file()]


def test_the_readmes_tree_is_the_top_level(repository):
    tree = re.search(r"```text\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)[1]
    drawn = {line.split()[0].rstrip("/") for line in tree.splitlines()}
    there = {path.relative_to(repository).parts[0] for path in tracked(repository)}
    there = {name for name in there if not name.startswith(".")}
    assert drawn <= there, f"drawn in README.md and not there: {drawn - there}"
    assert there - drawn <= {"LICENSE", "CHANGELOG.md", "constraints.txt"}, f"draw it in README.md: {there - drawn}"


def test_the_readmes_make_words_exist(repository):
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    words = set(re.findall(r"\bmake ([a-z]+)\b(?= *(?:#|`|$|,))", (repository / "README.md").read_text(), re.MULTILINE))
    assert {"demo", "test", "help"} <= words <= targets


def test_the_readmes_course_words_exist(repository):
    words = set(re.findall(r"(?:^    |`)course ([a-z]+)", (repository / "README.md").read_text(), re.MULTILINE))
    assert {"grade", "book", "build", "report"} <= words <= set(COMMANDS)


def test_every_requirement_is_pinned_and_every_dependency_constrained(repository):
    lines = [line.split("#")[0].strip() for line in (repository / "requirements.txt").read_text().splitlines()]
    direct = [line for line in lines if line and not line.startswith("-")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[^=]+", line) for line in direct), direct
    constraints = dict(
        line.split("==") for line in (repository / "constraints.txt").read_text().splitlines() if "==" in line
    )
    by_name = {canonical(name): version for name, version in constraints.items()}
    for line in direct:
        name, version = line.split("==")
        assert by_name.get(canonical(name)) == version, f"{line}: constraints.txt has {by_name.get(canonical(name))}"
    assert {"-e ./lib", "-e .", "-c constraints.txt"} <= set(lines)
    assert "torch==2.13.0" in direct


def test_every_pinned_package_admits_the_oldest_python_that_is_promised(repository):
    """Debian 12 has Python 3.11.2; a package that asks for 3.11.5 breaks the install there and nowhere else."""
    pinned = {
        canonical(line.split("==")[0]) for line in (repository / "constraints.txt").read_text().splitlines() if line
    }
    refused = {
        f"{each.metadata['Name']} {each.version} needs Python {needs}"
        for each in distributions()
        if (needs := each.metadata.get("Requires-Python")) and canonical(each.metadata["Name"]) in pinned
        if "3.11.2" not in SpecifierSet(needs)
    }
    assert not refused, refused


def canonical(name):
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("project", ["pyproject.toml", "lib/pyproject.toml"])
def test_what_a_distribution_needs_is_a_direct_requirement(repository, project):
    settings = tomllib.loads((repository / project).read_text())
    needed = {canonical(re.split(r"[<>=;]", line)[0]) for line in settings["project"]["dependencies"]}
    pinned = {canonical(line.split("==")[0]) for line in (repository / "requirements.txt").read_text().splitlines()}
    pinned |= {canonical(line.split("==")[0]) for line in (repository / "constraints.txt").read_text().splitlines()}
    assert needed <= pinned, needed - pinned


def test_every_library_module_belongs_to_the_floor_or_to_one_chapter(repository):
    course = load_course(repository)
    lists = {"floor": course.settings["library"]["floor"]}
    lists |= {chapter.id: list(chapter.owns) for chapter in course.chapters}
    lists |= {row["id"]: row["owns"] for row in course.settings.get("planned", [])}
    for path in course.library_files():
        if path.suffix != ".py":
            continue
        owners = [name for name, patterns in lists.items() if module_matches(module_name(path), patterns)]
        assert len(owners) == 1, f"{path}: owned by {owners or 'nobody'}; put it into one list of course.toml"


def test_every_listed_module_exists(repository):
    course = load_course(repository)
    names = {module_name(path) for path in course.library_files() if path.suffix == ".py"}
    patterns = [pattern for chapter in course.chapters for pattern in chapter.owns]
    patterns += course.settings["library"]["floor"]
    for pattern in patterns:
        assert any(module_matches(name, [pattern]) for name in names), f"course.toml names {pattern}: no such module"


def test_help_is_fast_because_it_imports_nothing_heavy():
    program = (
        "import sys; from grader.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'nbgrader', 'nbconvert', 'distributed', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_explains_it(name):
    done = subprocess.run(
        [sys.executable, "-m", "grader.cli", name, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout.split("Options:")[0]
    assert len(text.split()) > 20, f"course {name} --help says too little:\n{text}"
    undocumented = re.findall(r"^  (-[^ ]+(?:, --[a-z-]+)?(?: [A-Z]+)?) *$", done.stdout, re.MULTILINE)
    assert not undocumented, f"course {name}: options without help: {undocumented}"


def test_nothing_committed_names_a_path_of_one_machine(repository):
    here = [folder for folder in (repository, Path.home()) if len(folder.parts) > 2 or folder == Path("/root")]
    places = [rf"(?<!\w){re.escape(str(folder))}/" for folder in here]
    found = []
    for path in tracked(repository):
        if path.suffix in {".png", ".woff2", ".ico", ".safetensors"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(repository)}: {hit[0]}" for place in places for hit in re.finditer(place, text)]
    assert not found, "\n".join(found)


def test_modules_stay_short(repository):
    long = {
        str(path.relative_to(repository)): count
        for path in tracked(repository)
        if path.suffix == ".py" and path.is_relative_to(repository / "grader")
        if (count := len(path.read_text().splitlines())) > 330
    }
    assert not long, f"is each of these one idea? {long}"


def test_the_schema_describes_every_budget_key(repository):
    import json

    from grader.course import BUDGET_KEYS

    schema = json.loads((repository / "grader" / "course.schema.json").read_text())
    assert set(schema["properties"]["budget"]["properties"]) == set(BUDGET_KEYS)
    assert all(row["description"] for row in schema["properties"]["budget"]["properties"].values())
