"""Outputs that came back from a sandbox, made sure to be nbformat 4 and nothing more.

Each output is rebuilt from its parts, so that an unknown key, a wrong type, a lone surrogate or a deep
nesting that a hostile process sent cannot break the notebook that it is written into. Scripts in them are the
business of whoever shows them (`grader.grading`).
"""

from typing import Any

MAX_DEPTH = 12


class MalformedError(ValueError):
    """An output that nbformat does not know."""


def cleaned(items: Any) -> list[dict[str, Any]]:
    """The well-formed ones of a cell's outputs.

    >>> cleaned([{"output_type": "stream", "name": "stdout", "text": "hello", "x": 1}, {"output_type": "y"}])
    [{'output_type': 'stream', 'name': 'stdout', 'text': 'hello'}]
    """
    kept = []
    for item in items if isinstance(items, list) else []:
        try:
            kept.append(_output(item))
        except MalformedError:
            continue
    return kept


def _output(item: Any) -> dict[str, Any]:
    kind = item.get("output_type") if isinstance(item, dict) else None
    if kind == "stream" and item.get("name") in ("stdout", "stderr"):
        return {"output_type": kind, "name": item["name"], "text": text(item.get("text"))}
    if kind == "error":
        lines = item.get("traceback")
        if not isinstance(lines, list):
            raise MalformedError("a traceback is a list of lines")
        return {
            "output_type": kind,
            "ename": text(item.get("ename")),
            "evalue": text(item.get("evalue")),
            "traceback": [text(line) for line in lines],
        }
    if kind in ("display_data", "execute_result"):
        data, metadata = item.get("data"), item.get("metadata")
        if not isinstance(data, dict) or not isinstance(metadata, dict):
            raise MalformedError("data and metadata are dictionaries")
        rich: dict[str, Any] = {"output_type": kind, "data": {}, "metadata": _json(metadata, 0)}
        for name, value in data.items():
            rich["data"][text(name)] = _json(value, 0) if _holds_json(name) else text(value)
        if kind == "execute_result":
            count = item.get("execution_count")
            rich["execution_count"] = count if type(count) is int and 0 <= count < 1 << 31 else None
        return rich
    raise MalformedError("no such output type")


def _holds_json(mime: str) -> bool:
    return mime == "application/json" or (mime.startswith("application/") and mime.endswith("+json"))


def text(value: Any) -> str:
    """A string that can be written as UTF-8 anywhere; a list of strings is joined, as nbformat allows.

    Raises:
        MalformedError: for anything else.
    """
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = "".join(value)
    if not isinstance(value, str):
        raise MalformedError("text is a string")
    return value.encode("utf-8", "replace").decode().replace("\0", "�")


def _json(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise MalformedError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {text(key): _json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item, depth + 1) for item in value]
    return text(value) if isinstance(value, str) else value
