"""Notebooks whose cells, outputs and sizes are not what they were given out as."""

import json
from typing import Any

from .entry import HONEST, Lesson, own_cell
from .notebooks import ATTACK, checks, ids, notebook

for number in (1, 99, "x"):

    @notebook(f"schema {number}", "nbgrader's cell metadata in a version of another time.")
    def _(content: Any, lesson: Lesson, number: Any = number) -> None:
        for about in ids(content):
            about["schema_version"] = number


@notebook("grade ids twice", "Every graded cell is there twice, the second time edited.")
def _(content: Any, lesson: Lesson) -> None:
    for cell in checks(content):
        at = content["cells"].index(cell)
        content["cells"].insert(at + 1, json.loads(json.dumps(cell)) | {"source": "4.0", "id": f"copy-{at}"})


@notebook("ids renamed", "All grade ids have other names.")
def _(content: Any, lesson: Lesson) -> None:
    for number, about in enumerate(ids(content)):
        about["grade_id"] = f"renamed-{number}"


@notebook("ids swapped", "Checks of unanswered exercises carry the ids of answered ones and the other way round.")
def _(content: Any, lesson: Lesson) -> None:
    names = {"ngram-checks": "sequence-logprob-checks", "sequence-logprob-checks": "ngram-checks"}
    for about in ids(content):
        about["grade_id"] = names.get(about["grade_id"], about["grade_id"])


@notebook("answers swapped", "A right answer stands under the id of an exercise worth more.", least=())
def _(content: Any, lesson: Lesson) -> None:
    names = {"sequence-logprob": "ngram", "ngram": "sequence-logprob", "table-parameters": "bits-per-byte"}
    for about in ids(content):
        about["grade_id"] = names.get(about["grade_id"], about["grade_id"])


@notebook("no ids", "All metadata are gone.")
def _(content: Any, lesson: Lesson) -> None:
    for number, cell in enumerate(content["cells"]):
        cell["metadata"], cell["id"] = {}, f"lost-{number}"


@notebook("ids of other types", "Grade ids are lists, numbers, null and dictionaries; metadata is a list.")
def _(content: Any, lesson: Lesson) -> None:
    kinds: list[Any] = [[], 7, None, {}, ["x"], True, 1.5, "", "\0"]
    for number, about in enumerate(ids(content)):
        about["grade_id"] = kinds[number % len(kinds)]
    for number, cell in enumerate(content["cells"]):
        cell["id"] = kinds[number % len(kinds)]
    content["cells"][0]["metadata"] = []
    content["metadata"] = 3


for number, points in enumerate((1000, -1000, float("nan"), "many")):

    @notebook(f"points changed {number + 1}", f"Each check is worth {points}.")
    def _(content: Any, lesson: Lesson, points: Any = points) -> None:
        for cell in checks(content):
            cell["metadata"]["nbgrader"]["points"] = points


@notebook("more graded cells", "Cells of the student's own are worth a hundred points each.")
def _(content: Any, lesson: Lesson) -> None:
    about = {"grade": True, "solution": False, "locked": True, "points": 100, "schema_version": 3, "task": False}
    for number in range(5):
        metadata = {"nbgrader": {**about, "grade_id": f"bonus-{number}", "cell_type": "code"}}
        content["cells"].append(own_cell("100", metadata=metadata, id=f"bonus-{number}"))


@notebook("answers as graded cells", "Answer cells claim to be graded by hand, and checks to be answers.")
def _(content: Any, lesson: Lesson) -> None:
    for about in ids(content):
        about["grade"], about["solution"] = about["solution"], about["grade"]
        about["points"] = 50


@notebook("checks as text", "All checks are Markdown.")
def _(content: Any, lesson: Lesson) -> None:
    for cell in checks(content):
        cell["cell_type"] = "markdown"


@notebook("answers as text", "All answers are raw or Markdown cells.")
def _(content: Any, lesson: Lesson) -> None:
    for number, cell in enumerate(content["cells"]):
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["cell_type"] = ("raw", "markdown", "heading", "spreadsheet")[number % 4]


@notebook("checks edited", "Each check is a number.")
def _(content: Any, lesson: Lesson) -> None:
    for cell in checks(content):
        cell["source"] = "4.0"


@notebook("checks that patch", "Each check is a program that makes later checks pass.", least=HONEST[:2])
def _(content: Any, lesson: Lesson) -> None:
    for cell in checks(content):
        cell["source"] = "get_ipython().input_transformers_post.append(lambda lines: [])\n20.0"


@notebook("checks deleted", "No check is there.")
def _(content: Any, lesson: Lesson) -> None:
    content["cells"] = [cell for cell in content["cells"] if cell not in checks(content)]


@notebook("checks unlocked", "Checks are unlocked and ungraded.")
def _(content: Any, lesson: Lesson) -> None:
    for cell in checks(content):
        cell["metadata"]["nbgrader"].update(locked=False, grade=False, solution=True)
        cell["metadata"].update(editable=True, deletable=True)
        cell["source"] = "pass"


@notebook(
    "a check with an answer in it",
    "The check of 1.2 is replaced by a cell that defines the function of 1.3.",
    full=True,
)
def _(content: Any, lesson: Lesson) -> None:
    lesson.cell(content, "table-parameters-checks")["source"] = "def softmax(logits, temperature=1.0): return logits"


@notebook("another kernel", "The kernel is R, the language SQL.")
def _(content: Any, lesson: Lesson) -> None:
    content["metadata"] = {
        "kernelspec": {"name": "ir", "display_name": "R", "language": "R"},
        "language_info": {"name": "sql"},
    }


@notebook("a kernel with a path", "The kernel's name is a path and a command.")
def _(content: Any, lesson: Lesson) -> None:
    content["metadata"]["kernelspec"] = {
        "name": "../../../tmp/evil; touch /tmp/x",
        "display_name": ATTACK,
        "argv": ["/bin/sh"],
    }


@notebook("cells to skip", "Every check is tagged to be skipped.")
def _(content: Any, lesson: Lesson) -> None:
    for cell in checks(content):
        cell["metadata"]["tags"] = ["skip-execution", "remove-cell", "nbgrader-skip", "student-code"]


@notebook("tags of ours", "Every cell carries the tags with which the engine marks its own.")
def _(content: Any, lesson: Lesson) -> None:
    for cell in content["cells"]:
        cell["metadata"]["tags"] = ["student-code", "experiment", "raises-exception"]


@notebook("saved outputs", "Full marks and scripts are saved as the outputs of each cell.", kind="notebook: outputs")
def _(content: Any, lesson: Lesson) -> None:
    shown = {
        "output_type": "execute_result",
        "data": {"text/plain": "4.0", "text/html": ATTACK},
        "metadata": {},
        "execution_count": 1,
    }
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [shown, {"output_type": "stream", "name": "stdout", "text": "all criteria met"}]


@notebook("widgets", "Widget state and attachments with scripts.", kind="notebook: outputs")
def _(content: Any, lesson: Lesson) -> None:
    state = {"m": {"model_name": "HTMLModel", "model_module": ATTACK, "state": {"value": ATTACK}}}
    content["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": state, "version_major": 2}}
    for cell in content["cells"]:
        cell["attachments"] = {"x.svg": {"image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg'>{ATTACK}</svg>"}}


@notebook(
    "Markdown with scripts",
    "Markdown cells of the student's own, and cells that were Markdown, with scripts.",
    kind="notebook: outputs",
)
def _(content: Any, lesson: Lesson) -> None:
    content["cells"].insert(0, {"cell_type": "markdown", "metadata": {}, "source": ATTACK + "[x](javascript:pwned=1)"})
    content["cells"].append({"cell_type": "raw", "metadata": {"format": "text/html"}, "source": ATTACK})


@notebook("ten thousand cells", "Ten thousand cells, each with a line of code.", kind="notebook: size")
def _(content: Any, lesson: Lesson) -> None:
    content["cells"] += [own_cell(f"x = {number}") for number in range(10_000)]


@notebook("a very long cell", "A cell of a million characters in one line.", kind="notebook: size")
def _(content: Any, lesson: Lesson) -> None:
    content["cells"].append(own_cell("x = " + "1 + " * 250_000 + "1"))


@notebook("forty megabytes of code", "Two hundred cells that are parsed and joined in vain.", kind="notebook: size")
def _(content: Any, lesson: Lesson) -> None:
    content["cells"] += [own_cell("    x = (1,\n" * 17_000) for _ in range(200)]


@notebook("a deep expression", "An answer whose brackets overflow the parser.", kind="notebook: size", full=True)
def _(content: Any, lesson: Lesson) -> None:
    lesson.cell(content, "softmax")["source"] = "x = " + "(" * 40_000 + ")" * 40_000
    lesson.cell(content, "ngram")["source"] = "x = " + "-" * 90_000 + "1"
    lesson.cell(content, "split")["source"] = "x = " + "a." * 90_000 + "b"


@notebook(
    "odd characters", "Half surrogate pairs, NUL and directions that turn, in sources and ids.", kind="notebook: size"
)
def _(content: Any, lesson: Lesson) -> None:
    lesson.cell(content, "ngram")["source"] = "x = '\ud800'\0\u202e # \u2066"
    content["cells"].append(own_cell("print('\udfff')", id="\ud800"))


@notebook(
    "sources that are no text",
    "Sources are numbers, dictionaries and lists of lists.",
    kind="notebook: size",
    full=True,
)
def _(content: Any, lesson: Lesson) -> None:
    for label, source in (("softmax", 7), ("ngram", {"a": 1}), ("split", [["x"], 1]), ("perplexity", None)):
        lesson.cell(content, label)["source"] = source


@notebook(
    "an answer in ten places",
    "Ten cells claim to be the answer of 1.3, all of them wrong.",
    kind="notebook: size",
    full=True,
)
def _(content: Any, lesson: Lesson) -> None:
    cell = lesson.cell(content, "softmax")
    for number in range(10):
        copy = json.loads(json.dumps(cell)) | {"source": f"def softmax(logits, temperature={number}.0): return logits"}
        content["cells"].append(copy)
