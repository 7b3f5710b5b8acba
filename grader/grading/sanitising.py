"""Make what a student made harmless before a teacher's browser shows it.

nbgrader's feedback and formgrader put outputs and Markdown into pages of the teacher's Jupyter server as
they are: a script in them runs with the teacher's rights. So only text, cleaned HTML tables and PNG or JPEG
images that are what they claim to be are stored; scripts, event handlers, styles, links, SVG, widgets,
LaTeX and anything fetched from elsewhere are not.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

MAX_TEXT = 100_000
"""Characters kept of one output's text."""

MAX_IMAGE = 4 << 20
"""Bytes kept of one image in base64."""

MAX_OUTPUTS = 200
"""Outputs kept of one cell."""

TABLE_TAGS = frozenset(
    re.findall(
        r"\w+",
        "b br caption code col colgroup dd div dl dt em h1 h2 h3 h4 h5 h6 hr i li ol p pre small span "
        "strong sub sup table tbody td tfoot th thead tr tt ul",
    )
)
SPANS = {"td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan", "scope"}}

ACTIVE_TEX = re.compile(
    r"\\(?=(?:href|url|require|class|cssId|style|data|html\w*|unicode|def|let|[gex]def|(?:re)?newcommand)\b)"
)
"""The backslash of commands with which MathJax links, loads, styles or defines."""

MAGIC = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


def safe_outputs(outputs: Sequence[Any]) -> list[Any]:
    """The outputs of one cell, rebuilt from what is known to be harmless."""
    kept = [clean for output in outputs[:MAX_OUTPUTS] if (clean := _safe_output(output)) is not None]
    if len(outputs) > MAX_OUTPUTS:
        kept.append(_text_output(f"[{len(outputs) - MAX_OUTPUTS} further outputs were left out]\n"))
    return kept


def _safe_output(output: Any) -> Any:
    from nbformat.v4 import new_output

    if not isinstance(output, dict):
        return None
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return new_output("stream", name=name, text=safe_text(output.get("text")))
    if kind == "error":
        trace = output.get("traceback")
        lines = [safe_text(line) for line in trace[:200]] if isinstance(trace, list) else []
        return new_output(
            "error",
            ename=safe_text(output.get("ename")),
            evalue=safe_text(output.get("evalue")),
            traceback=lines,
        )
    if kind in ("display_data", "execute_result"):
        data = output.get("data")
        bundle = _safe_bundle(data if isinstance(data, dict) else {})
        # display_data, not a result: nothing that a student made looks like a number of points
        return new_output("display_data", data=bundle)
    return None


def _safe_bundle(data: dict[str, Any]) -> dict[str, str]:
    bundle = {}
    if "text/plain" in data:
        bundle["text/plain"] = safe_text(data["text/plain"])
    if "text/html" in data:
        bundle["text/html"] = safe_html(safe_text(data["text/html"]))
    for mime, magic in MAGIC.items():
        image = _safe_image(data.get(mime), magic)
        if image:
            bundle[mime] = image
    if not bundle:
        names = ", ".join(sorted(re.sub(r"[^\w./+-]", "?", str(mime))[:40] for mime in data)[:5])
        bundle["text/plain"] = f"[an output that is not shown here: {names or 'empty'}]"
    return bundle


def safe_text(value: Any) -> str:
    """Text of a sensible length; a list of lines is joined as nbformat allows."""
    if isinstance(value, list):
        value = "".join(line for line in value if isinstance(line, str))
    if not isinstance(value, str):
        return ""
    text = value.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n[cut here: {len(text):,} characters]"


def safe_html(text: str) -> str:
    """HTML with the tags of tables and prose, no attributes but spans of cells.

    A backslash gets a space of no width behind it: MathJax would follow `\\href{javascript:…}` inside the
    text.

    >>> safe_html('<table onclick="x()"><tr><td>1<img src=//evil></td></tr></table><script>x()</script>')
    '<table><tbody><tr><td>1</td></tr></tbody></table>'
    """
    import nh3

    clean = nh3.clean(
        text,
        tags=set(TABLE_TAGS),
        attributes=SPANS,
        clean_content_tags={"script", "style", "iframe", "object", "svg", "math"},
        link_rel=None,
    )
    return clean.replace("\\", "\\\u200b")


def _safe_image(value: Any, magic: bytes) -> str:
    """An image in base64 that begins as its type does; empty for anything else."""
    if isinstance(value, list):
        value = "".join(line for line in value if isinstance(line, str))
    if not isinstance(value, str) or len(value) > MAX_IMAGE:
        return ""
    try:
        raw = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return base64.b64encode(raw).decode() if raw.startswith(magic) else ""


def safe_markdown(text: str) -> str:
    """Markdown without HTML, links, images and active TeX: an essay, as a teacher's page may show it.

    >>> safe_markdown("a < b, [x](javascript:alert(1)) and ![y](http://evil/y.png)")
    'a < b, [x]&#40;javascript:alert(1)) and ![y]&#40;http:&#47;/evil/y.png)'
    >>> safe_markdown("<img src=x onerror=alert(1)>")
    '&lt;img src=x onerror=alert(1)>'
    """
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", safe_text(text))
    text = re.sub(r"\](\s*)\(", r"]\1&#40;", text)
    text = re.sub(r"\](\s*):", r"]\1&#58;", text).replace("://", ":&#47;/")
    return re.sub(ACTIVE_TEX, "", text)


def _text_output(text: str) -> Any:
    from nbformat.v4 import new_output

    return new_output("stream", name="stdout", text=text)
