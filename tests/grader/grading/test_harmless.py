"""What students wrote runs nowhere, and what is hidden shows nowhere."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from grader.execution.plan import Outcome
from grader.grading.sanitising import MAX_TEXT, safe_html, safe_markdown, safe_outputs

from .conftest import HALF_SHARES, RIGHT, Workshop, run_here

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)><iframe src=//evil></iframe>"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()


def display(**data: Any) -> dict[str, Any]:
    return {
        "output_type": "display_data",
        "metadata": {},
        "data": {k.replace("_", "/"): v for k, v in data.items()},
    }


def test_html_keeps_tables_and_loses_everything_active() -> None:
    table = '<table><thead><tr><th>n</th></tr></thead><tbody><tr><td colspan="2">3</td></tr></tbody></table>'
    assert safe_html(table) == table
    clean = safe_html(
        ATTACK + table + "<a href='javascript:x'>a</a><b style='background:url(//e)' onclick=x>b</b><style>*{}</style>"
    )
    assert clean == table + "a<b>b</b>"
    assert "\\href" not in safe_html(r"<p>$\href{javascript:alert(1)}{x}$</p>")


@pytest.mark.parametrize(
    "data",
    [
        {"image/svg+xml": ATTACK},
        {"application/javascript": "alert(1)"},
        {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}},
        {"text/latex": r"\href{javascript:alert(1)}{x}"},
        {"text/markdown": ATTACK},
        {"image/png": "!!not base64"},
        {"image/png": base64.b64encode(ATTACK.encode()).decode()},
        {"image/png": PNG + "A" * (5 << 20)},
        {"text/html": ATTACK},
        {},
        7,
    ],
)
def test_no_output_brings_anything_active_into_the_page(data: Any) -> None:
    [output] = safe_outputs([{"output_type": "execute_result", "data": data, "metadata": {"x": ATTACK}}])
    assert output.output_type == "display_data"
    assert output.metadata == {}
    assert set(output.data) <= {"text/plain", "text/html"}
    assert not re.search(r"<(script|img|svg|iframe)|javascript:", str(output))


def test_a_figure_and_a_table_stay() -> None:
    [output] = safe_outputs([display(text_plain="<Figure>", image_png=PNG, text_html="<p>1</p>")])
    assert output.data == {"text/plain": "<Figure>", "image/png": PNG, "text/html": "<p>1</p>"}


def test_long_and_malformed_outputs_are_cut_and_passed_over() -> None:
    outputs = safe_outputs(
        [
            "no output",
            {"output_type": "party"},
            {"output_type": "stream", "name": "stdout", "text": "x" * (2 * MAX_TEXT)},
            {"output_type": "error", "ename": None, "evalue": 7, "traceback": [1, "a"] + ["line"] * 1000},
            *[{"output_type": "stream", "name": "stdout", "text": "x"}] * 1000,
        ]
    )
    assert len(outputs[0].text) < MAX_TEXT + 100
    assert len(outputs[1].traceback) == 200
    assert len(outputs) < 250
    assert "were left out" in outputs[-1].text


@pytest.mark.parametrize(
    "text",
    [
        ATTACK,
        "[x](javascript:alert(1))",
        "![x](http://evil/pixel.png)",
        "[x]: javascript:alert(1)\n\n[x]",
        "<javascript:alert(1)>",
        r"$\href{javascript:alert(1)}{x}$",
        "<!-- -->",
        "</div><script>",
    ],
)
def test_markdown_has_no_html_links_or_active_tex(text: str) -> None:
    from nbconvert.filters import markdown2html

    page = markdown2html(safe_markdown(text))
    assert not re.search(r"<(script|img|svg|iframe|a[ >]|/div)|\\href", page), page


def test_plain_markdown_stays_as_it_is() -> None:
    text = "# Why\n\n1. because $a < b$ and `x[0]`\n2. **so** \\alpha\n\n> quoted"
    assert safe_markdown(text) == text


def test_pages_and_notebooks_run_no_script_of_a_student(workshop: Workshop) -> None:
    answer = f"def add_up(numbers):\n    raise ValueError({ATTACK!r})\n"
    workshop.submit("one", workshop.notebook(add_up=answer))

    def loud(plans: Any) -> Any:
        for number, outcome in run_here(plans):
            attack = {"output_type": "display_data", "data": {"text/html": ATTACK}, "metadata": {}}
            notes = {"shares": ATTACK, "x": ATTACK}
            yield (
                number,
                Outcome(
                    outputs={key: [attack] for key in [*outcome.outputs, "add-up", "shares-checks"]},
                    answers=outcome.answers,
                    notes=notes,
                ),
            )

    workshop.grade(loud)
    page = workshop.page("one")
    assert "&lt;script&gt;" in page, "the student's words are shown, escaped"
    assert not re.search(r"<(script|img|svg|iframe|link|object|embed)", page)
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")
    outputs = [str(cell.get("outputs")) for cell in workshop.autograded("one").cells]
    assert not any(
        re.search(r"onerror|<svg|<iframe", text.replace(repr(ATTACK), ""))
        for text in outputs
        if "ValueError" not in text
    )


def test_feedback_and_autograded_notebook_hold_no_hidden_source(workshop: Workshop) -> None:
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    workshop.submit("untouched", workshop.notebook())
    workshop.grade()
    hidden = workshop.chapter.hidden.read_text()
    secrets = [line.strip() for line in hidden.splitlines() if len(line.strip()) > 20 and "wrong(" not in line]
    secrets += ["hidden_check", "BEGIN HIDDEN", "### BEGIN SOLUTION", workshop.classroom.secret()]
    assert len(secrets) > 20
    shown = [
        path
        for folder in ("feedback", "autograded", "release")
        for path in (workshop.folder / folder).rglob("*")
        if path.is_file()
    ]
    assert len(shown) == 7
    for path in shown:
        text = path.read_text()
        found = [secret for secret in secrets if secret in text]
        assert not found, f"{path.relative_to(workshop.folder)} shows {found}"
    source = (workshop.folder / "source" / "01-tiny" / "tiny.ipynb").read_text()
    assert "hidden_check" in source, "the same search finds what is there"


def test_the_plan_that_leaves_the_grader_holds_no_secret(workshop: Workshop, tmp_path: Path) -> None:
    import pickle

    seen = []

    def looking(plans: Any) -> Any:
        for number, plan in enumerate(plans):
            seen.append(plan)
            yield number, Outcome()

    workshop.submit("one", workshop.right())
    workshop.grade(looking)
    data = pickle.dumps(seen)
    secret = workshop.classroom.secret()
    seeds = [exercise["seed"] for exercise in workshop.result("one")["exercises"]]
    for word in (secret, "whatever its sign", "def judge", "hidden_check", "tinylib/sharing.py", *seeds):
        assert word.encode() not in data
    assert b"tinylib/__init__.py" in data
