"""What the library's documentation promises to say: which chapter, what is left out, what is raised."""

import ast
import re

import pytest

from grader.course import load_course, module_matches, module_name


def modules(repository):
    course = load_course(repository)
    for path in course.library_files():
        if path.suffix == ".py":
            yield module_name(path), path, ast.parse((course.library_root / path).read_text(encoding="utf-8"))


def public_functions(tree):
    """Public functions and methods: dotted name, what documents it, its own code. A class documents its constructor."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if not isinstance(inner, ast.FunctionDef):
                    continue
                if inner.name == "__init__":
                    yield f"{node.name}.__init__", node, inner
                elif not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner, inner


def raised_by(node):
    """The names of the exceptions that a function's own code raises anew."""
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call) and isinstance(inner.exc.func, ast.Name):
            found.add(inner.exc.func.id)
    return found


def test_a_docstring_names_every_error_that_its_function_raises(repository):
    silent = []
    for name, _, tree in modules(repository):
        for label, documented, body in public_functions(tree):
            raises = raised_by(body)
            text = ast.get_docstring(documented) or ""
            silent += [f"{name}: {label} raises {error}" for error in sorted(raises) if f"{error}:" not in text]
    assert not silent, "say under `Raises:` when, or raise nothing:\n" + "\n".join(silent)


def test_a_module_says_where_it_is_built(repository):
    course = load_course(repository)
    wrong = []
    owners = {
        pattern: row["id"]
        for row in [*course.settings["chapters"], *course.settings.get("planned", [])]
        for pattern in row.get("owns", [])
    }
    for name, _, tree in modules(repository):
        text = " ".join((ast.get_docstring(tree) or "").split())
        chapter = next((owner for pattern, owner in owners.items() if module_matches(name, [pattern])), None)
        said = re.findall(r"Built in chapter (\d+)", text)
        if chapter is None:
            continue
        if said and int(said[0]) != int(chapter[:2]):
            wrong.append(f"{name} says chapter {said[0]}, course.toml {chapter}")
        if not said and "Belongs to `byhand." not in text:
            wrong.append(f"{name} says no chapter; course.toml says {chapter}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["bert", "gpt", "t5", "encoder"])
def test_models_and_their_presets_are_documented_field_by_field(name):
    import dataclasses
    import importlib
    import inspect

    module = importlib.import_module(f"byhand.{name}")
    for _, found in inspect.getmembers(module, dataclasses.is_dataclass):
        text = inspect.getdoc(found) or ""
        section = text.partition("Attributes:")[2]
        missing = [field.name for field in dataclasses.fields(found) if f"{field.name}:" not in section]
        assert not missing, f"{found.__name__} does not document {', '.join(missing)}"
