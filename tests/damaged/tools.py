"""What other programs do when they open and save a notebook."""

import ast
import contextlib
import copy
import io
import tokenize
import warnings
from typing import Any

from .sheet import Sheet, damage, text


@damage("Colab: ids moved, all cell metadata lost, cells of its own")
def colab(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell.pop("id", None)
        cell["metadata"] = {"id": sheet.new_id() + "Zx"}
        if cell["cell_type"] == "code":
            cell["metadata"]["outputId"] = sheet.new_id()
    sheet.put(0, _without_id(sheet.new_code("from google.colab import drive\ndrive.mount('/content/drive')")))
    sheet.put(1, _without_id(sheet.new_code("%cd /content/drive/MyDrive/course")))
    kernel = {"name": "python3", "display_name": "Python 3"}
    sheet.notebook["metadata"] = {"colab": {"provenance": [], "toc_visible": True}, "kernelspec": kernel}
    sheet.notebook["nbformat_minor"] = 0


@damage("Colab: ids moved, metadata kept")
def colab_keeping_metadata(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell["metadata"]["id"] = cell.pop("id", "")
    sheet.notebook["nbformat_minor"] = 0


def _without_id(cell: dict[str, Any]) -> dict[str, Any]:
    del cell["id"]
    return cell


@damage("VS Code: tags and labels lost, its own metadata, CRLF in sources")
def vs_code(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell["metadata"] = {"vscode": {"languageId": "python"}} if cell["cell_type"] == "code" else {}
        cell["id"] = sheet.new_id()
        cell["source"] = [line + "\r\n" for line in text(cell).split("\n")]
        cell["source"][-1:] = [cell["source"][-1].removesuffix("\r\n")]
    sheet.notebook["metadata"] = {
        "kernelspec": {"display_name": ".venv (3.12.4)", "language": "python", "name": "python3"},
        "language_info": {"codemirror_mode": {"name": "ipython", "version": 3}, "name": "python", "version": "3.12.4"},
    }


@damage("Kaggle: ids replaced, labels lost, its first cell")
def kaggle(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell.pop("id", None)
        cell["metadata"] = {"_uuid": sheet.new_id(), "_cell_guid": sheet.new_id(), "trusted": True}
        cell["metadata"]["execution"] = {"iopub.status.busy": "2026-03-01T10:00:00Z"}
    first = (
        "# This environment has many libraries installed\nimport numpy as np\nimport os\n"
        "for dirname, _, filenames in os.walk('/kaggle/input'):\n    print(dirname)\n"
    )
    sheet.put(0, _without_id(sheet.new_code(first)))
    sheet.notebook["metadata"]["kaggle"] = {"accelerator": "none", "dataSources": []}
    sheet.notebook["nbformat_minor"] = 4


@damage("Deepnote: labels lost, tags and outputs of its own")
def deepnote(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell["metadata"] = {"cell_id": sheet.new_id(), "tags": [], "deepnote_cell_type": cell["cell_type"]}
        cell["id"] = sheet.new_id()
    created = "<a style='text-decoration:none' href='https://deepnote.com'>Created in Deepnote</a>"
    sheet.put(len(sheet.cells), {"cell_type": "markdown", "metadata": {}, "source": created})
    sheet.notebook["metadata"] = {"deepnote": {}, "deepnote_notebook_id": sheet.new_id()}


def _through_jupytext(sheet: Sheet, form: str, metadata: str) -> None:
    import jupytext
    import nbformat

    for cell in sheet.cells:
        cell["source"] = text(cell)
    notebook = nbformat.from_dict(copy.deepcopy(sheet.notebook))
    notebook.metadata["jupytext"] = {"cell_metadata_filter": metadata, "notebook_metadata_filter": "-all"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        back = jupytext.reads(jupytext.writes(notebook, fmt=form), fmt=form)
    sheet.notebook.clear()
    sheet.notebook.update(dict(back), cells=[dict(cell) for cell in back.cells])
    for cell in sheet.cells:
        # jupytext draws new ids, each time others
        cell["metadata"], cell["id"] = dict(cell["metadata"]), sheet.new_id()


@damage("jupytext: to a percent script and back")
def jupytext_percent(sheet: Sheet) -> None:
    _through_jupytext(sheet, "py:percent", "-all")


@damage("jupytext: to a light script and back")
def jupytext_light(sheet: Sheet) -> None:
    _through_jupytext(sheet, "py:light", "-all")


@damage("jupytext: to Markdown and back")
def jupytext_markdown(sheet: Sheet) -> None:
    _through_jupytext(sheet, "md", "-all")


@damage("jupytext: to MyST and back, tags kept")
def jupytext_myst(sheet: Sheet) -> None:
    _through_jupytext(sheet, "md:myst", "tags")


@damage("a formatter ran over every cell")
def formatted(sheet: Sheet) -> None:
    """The harshest one there is: only what the compiler sees stays."""
    for cell in sheet.code:
        with contextlib.suppress(SyntaxError):
            cell["source"] = ast.unparse(ast.parse(text(cell)))


@damage("all comments removed, labels lost")
def comments_removed(sheet: Sheet) -> None:
    for cell in sheet.code:
        source = text(cell)
        with contextlib.suppress(tokenize.TokenError, SyntaxError):
            tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
            lines = source.split("\n")
            for token in tokens:
                if token.type == tokenize.COMMENT:
                    row, column = token.start
                    lines[row - 1] = lines[row - 1][:column]
            cell["source"] = "\n".join(lines)
        cell["metadata"] = {}


@damage("tabs instead of spaces")
def tabs(sheet: Sheet) -> None:
    for cell in sheet.answers():
        lines = text(cell).split("\n")
        depths = [len(line) - len(line.lstrip(" ")) for line in lines]
        if all(depth % 4 == 0 for depth in depths):
            cell["source"] = "\n".join(
                "\t" * (depth // 4) + line[depth:] for depth, line in zip(depths, lines, strict=True)
            )


@damage("hard spaces and invisible marks, as chat programs put them in")
def hard_spaces(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        cell["source"] = text(cell).replace("    ", "\u00a0\u00a0 \u00a0").replace("(", "(\u200b", 1)


@damage("tags lost")
def tags_lost(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell["metadata"].pop("tags", None)


@damage("all metadata and ids lost")
def metadata_lost(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell["metadata"] = {}
        cell.pop("id", None)
    sheet.notebook["metadata"] = {}


@damage("nbgrader's flags and points changed, an older schema")
def nbgrader_metadata_changed(sheet: Sheet) -> None:
    for cell in sheet.cells:
        marks = cell["metadata"].get("nbgrader")
        if marks:
            marks.update(schema_version=sheet.rng.choice([1, 2]), locked=False, points=1)
            marks.pop("checksum", None)
            marks.pop("cell_type", None)


@damage("ids and labels of two exercises swapped")
def labels_swapped(sheet: Sheet) -> None:
    answers = sheet.answers()
    if len(answers) > 1:
        one, two = sheet.rng.sample(answers, 2)
        one["metadata"], two["metadata"] = two["metadata"], one["metadata"]
        one["id"], two["id"] = two.get("id", ""), one.get("id", "")


@damage("another kernel and language")
def wrong_kernel(sheet: Sheet) -> None:
    name, language = sheet.rng.choice([("ir", "R"), ("conda-env-lm-py", "python"), ("julia-1.10", "julia"), ("", "")])
    sheet.notebook["metadata"]["kernelspec"] = {"display_name": name, "language": language, "name": name}
    sheet.notebook["metadata"]["language_info"] = {"name": language}


@damage("outputs of another day: errors, pictures, widgets")
def outputs_of_another_day(sheet: Sheet) -> None:
    picture = {"image/png": "iVBORw0KGgo=" * 2000, "text/plain": ["<Figure size 640x480 with 1 Axes>"]}
    wild: list[dict[str, Any]] = [
        {
            "output_type": "error",
            "ename": "NameError",
            "evalue": "name 'x' is not defined",
            "traceback": ["\u001b[31m"],
        },
        {"output_type": "display_data", "data": picture, "metadata": {}},
        {"output_type": "execute_result", "data": {"text/plain": "3.0"}, "metadata": {}, "execution_count": 12},
        {"output_type": "stream", "name": "stderr", "text": "warning\n" * 500},
    ]
    for cell in sheet.code:
        cell["outputs"] = copy.deepcopy(sheet.rng.sample(wild, 2))
        cell["execution_count"] = sheet.rng.choice([None, 3, 912])
    sheet.notebook["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {}}}}


@damage("attachments and pictures in text cells")
def attachments(sheet: Sheet) -> None:
    for cell in sheet.cells:
        if cell["cell_type"] == "markdown":
            cell["attachments"] = {"me.png": {"image/png": "iVBORw0KGgo="}}
            cell["source"] = text(cell) + "\n\n![me](attachment:me.png)"


@damage("text cells translated")
def markdown_translated(sheet: Sheet) -> None:
    for cell in sheet.cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = "Dieser Text wurde übersetzt. " * 20


@damage("cells folded, hidden and made slides of")
def cells_folded(sheet: Sheet) -> None:
    for cell in sheet.cells:
        cell["metadata"]["collapsed"] = True
        cell["metadata"]["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
        cell["metadata"]["slideshow"] = {"slide_type": "skip"}
