"""Look for traces: hidden material in what students get back, loot, and files outside the class folder."""

import html
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

TOO_SHORT = 24
"""A line of code below this length may stand in a student's notebook by chance."""


class Listener:
    """A port on this machine that counts who gets through to it."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.visitors = 0
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        while True:
            try:
                visitor, _ = self.socket.accept()
            except OSError:
                return
            self.visitors += 1
            visitor.close()

    def close(self) -> None:
        """Stop listening."""
        self.socket.close()


def telling_lines(secret: str, public: str) -> list[str]:
    """The lines of a hidden text by which it can be recognised: long ones that no public text holds.

    Lines that are only a string are left out: the words of a judge are for students.
    """
    lines = {line.strip() for line in secret.splitlines()}
    return sorted(
        line
        for line in lines
        if len(line) >= TOO_SHORT and not line.startswith(("#", '"', "'", 'f"', "f'", 'r"')) and line not in public
    )


def readable_text(path: Path) -> str:
    """What a reader of a file can see: the strings of a notebook or a JSON file, the text of a page."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix in (".ipynb", ".json"):
        return "\n".join(_strings(json.loads(text)))
    return html.unescape(text)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def leaks(folders: Sequence[Path], secrets: Mapping[str, Sequence[str]]) -> list[str]:
    """Each secret (name -> texts) that any file below the folders holds, one sentence a file."""
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            text = readable_text(path)
            for name, parts in secrets.items():
                held = [part for part in parts if part in text]
                if held:
                    found.append(f"{path} holds {name}: {held[0][:60]!r}")
    return found


def left_behind(drops: Sequence[Path], mark: str) -> list[str]:
    """What the thief managed to leave, one sentence a file."""
    return [f"the thief left {path}" for folder in drops if folder.is_dir() for path in sorted(folder.glob(f"{mark}*"))]


def loot_of(notebook: Path) -> list[str] | None:
    """What the thief says it could read; None when it never got so far as to say it."""
    for text in _strings(json.loads(notebook.read_text(encoding="utf-8"))):
        if text.startswith("LOOT "):
            said = json.JSONDecoder().raw_decode(text.removeprefix("LOOT "))[0]
            return [str(name) for name in (said["found"] if isinstance(said, dict) else said)]
    return None
