"""The notebook shell that runs inside the sandbox: IPython in this process, with outputs kept as nbformat
dictionaries.

There is no kernel and no message protocol: display hooks append to a list. What a real kernel shows for a
cell (streams, rich displays, matplotlib's inline figures, results, tracebacks, top-level await, `!command`)
comes out the same.

The text of this file is sent into the sandbox and run there, so it imports the standard library and IPython
alone.
"""

import base64
import fcntl
import gc
import io
import json
import os
import subprocess
import sys
import tempfile
import traceback
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

CUT = "\n[output cut here: this submission printed more than {limit:,} bytes]\n"


class Outputs:
    """The outputs of the running cell, with one allowance of bytes for the whole submission."""

    def __init__(self, allowance: int) -> None:
        self.allowance = allowance
        self.left = allowance
        self.muted = False
        self.items: list[dict[str, Any]] = []
        self.clear_first = False
        self.files = {name: tempfile.TemporaryFile(buffering=0) for name in ("stdout", "stderr")}  # noqa: SIM115
        for file in self.files.values():
            fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)

    def redirect(self) -> None:
        """Point file descriptors 1 and 2 at files, to see what subprocesses and C code print."""
        os.dup2(self.files["stdout"].fileno(), 1)
        os.dup2(self.files["stderr"].fileno(), 2)

    def drain(self) -> None:
        """Append what arrived on file descriptors 1 and 2."""
        for name, file in self.files.items():
            if os.fstat(file.fileno()).st_size:
                file.seek(0)
                data = file.read(max(self.left, 0) + 1)
                file.truncate(0)
                self._stream(name, data.decode("utf-8", "replace"))

    def stream(self, name: str, text: str) -> None:
        """Append text to the cell's stdout or stderr."""
        self.drain()
        self._stream(name, text)

    def _stream(self, name: str, text: str) -> None:
        if not text or self.muted or self.left <= 0:
            return
        last = self.items[-1] if self.items and not self.clear_first else {}
        if last.get("name") != name:
            last = {"output_type": "stream", "name": name, "text": []}
            self._append(last)
        text = text if len(text) <= self.left else text[: self.left] + CUT.format(limit=self.allowance)
        self.left -= len(text.encode("utf-8", "replace"))
        last["text"].append(text)

    def rich(self, item: dict[str, Any], display_id: str | None = None) -> None:
        """Append a display, a result or an error, unless the allowance is used up."""
        self.drain()
        size = len(json.dumps(item, default=str))
        if self.muted or self.left <= 0:
            return
        if size > self.left:
            self.left = 1
            self._stream("stderr", CUT.format(limit=self.allowance))
            self.left = 0
            return
        self.left -= size
        if display_id is not None:
            item["display_id"] = display_id
        self._append(item)

    def _append(self, item: dict[str, Any]) -> None:
        if self.clear_first:
            self.items.clear()
            self.clear_first = False
        self.items.append(item)

    def update(self, display_id: str, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Replace displays of this cell that have the id; those of earlier cells have left already."""
        for item in self.items:
            if item.get("display_id") == display_id:
                item["data"], item["metadata"] = data, metadata

    def take(self) -> list[dict[str, Any]]:
        """The finished cell's outputs; the next cell starts with none."""
        self.drain()
        items, self.items, self.clear_first = self.items, [], False
        for item in items:
            item.pop("display_id", None)
            if item["output_type"] == "stream":
                item["text"] = "".join(item["text"])
        return items


class Stream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of the student's code."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, outputs: Outputs, name: str, number: int) -> None:
        self.outputs = outputs
        self.name = f"<{name}>"
        self.stream = name
        self.number = number

    def write(self, text: str) -> int:
        """Append to the outputs of the running cell."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.outputs.stream(self.stream, text)
        return len(text)

    def writable(self) -> bool:
        """Yes: `print` asks."""
        return True

    def fileno(self) -> int:
        """A real descriptor, for `subprocess.run(..., stdout=sys.stdout)` and faulthandler."""
        return self.number


def as_json(data: dict[str, Any]) -> dict[str, Any]:
    """A MIME bundle with images in base64, as nbformat keeps them."""
    return {key: base64.b64encode(value).decode() if isinstance(value, bytes) else value for key, value in data.items()}


class Displays(DisplayPublisher):  # type: ignore[misc]
    """`display(...)` and figures."""

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        source: Any = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        """Keep a display, or change one that this cell has made."""
        display_id = (transient or {}).get("display_id")
        if update:
            self.shell.captured.update(display_id, as_json(data), metadata or {})
            return
        item = {"output_type": "display_data", "data": as_json(data), "metadata": metadata or {}}
        self.shell.captured.rich(item, display_id)

    def clear_output(self, wait: bool = False) -> None:
        """Drop the cell's outputs, at once or when the next one comes."""
        self.shell.captured.clear_first = True
        if not wait:
            self.shell.captured.items.clear()
            self.shell.captured.clear_first = False


class Results(DisplayHook):  # type: ignore[misc]
    """The value of a cell's last expression."""

    item: dict[str, Any]

    def start_displayhook(self) -> None:
        """Begin a result."""
        self.item = {"output_type": "execute_result", "data": {}, "metadata": {}, "execution_count": None}

    def write_output_prompt(self) -> None:
        """The number of the prompt."""
        self.item["execution_count"] = self.prompt_count

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        """The result in all its formats."""
        self.item["data"], self.item["metadata"] = as_json(format_dict), md_dict or {}

    def finish_displayhook(self) -> None:
        """Keep the result."""
        if self.item["data"]:
            self.shell.captured.rich(self.item)


class NotebookShell(InteractiveShell):  # type: ignore[misc]
    """IPython as a notebook sees it."""

    display_pub_class = Type(Displays)
    displayhook_class = Type(Results)
    captured: Outputs

    def enable_gui(self, gui: Any = None) -> None:
        """No event loop runs here: the inline backend needs none."""

    def init_virtualenv(self) -> None:
        """The interpreter is the environment's own already."""

    def system(self, command: str) -> None:
        """`!command`: runs in the sandbox like everything else; its output is the cell's."""
        self.user_ns["_exit_code"] = subprocess.call(
            ["/bin/sh", "-c", self.var_expand(command, depth=1)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def ask_exit(self) -> None:
        """`exit` in a notebook would end the kernel; here the cell ends and the next one runs."""

    def _get_exc_info(self, exc_tuple: Any = None) -> Any:
        """The exception without the last frame where that is our own: the alarm that ends a cell."""
        etype, value, trace = super()._get_exc_info(exc_tuple)
        while trace is not None and trace.tb_next is not None:
            if trace.tb_next.tb_frame.f_code.co_filename == "<inside>" and trace.tb_next.tb_next is None:
                trace.tb_next = None
                break
            trace = trace.tb_next
        return etype, value, value.__traceback__

    def let_go(self, error: BaseException | None) -> None:
        """Forget an error that was shown, with all that its frames hold.

        Tracebacks are kept for a debugger, which nobody starts here: a function that took all memory before it failed
        would leave none to the exercises after it.
        """
        short = False
        while error is not None:
            short = short or isinstance(error, MemoryError)
            traceback.clear_frames(error.__traceback__)
            error.__traceback__ = None
            error = error.__cause__ or error.__context__
        sys.last_traceback = self.InteractiveTB.tb = None
        if short:
            gc.collect()  # what drew the traceback holds frames in cycles

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
        item = {
            "output_type": "error",
            "ename": etype.__name__,
            "evalue": str(evalue),
            "traceback": list(stb),
        }
        self.captured.rich(item)


def no_input(*_: Any, **__: Any) -> str:
    """What `input()` does where nobody can answer."""
    raise StdinNotImplementedError("raw_input was called, but this frontend does not support input requests.")


def make_shell() -> NotebookShell:
    """A shell with no profile, configuration, start-up or history file, whatever lies around."""
    import builtins
    import getpass

    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    builtins.input = getpass.getpass = no_input
    shell: NotebookShell = NotebookShell.instance(config=config)
    return shell


def connect(shell: NotebookShell, outputs: Outputs) -> None:
    """Let a shell's outputs and the standard streams go to `outputs`."""
    import sys

    NotebookShell.captured = outputs
    sys.stdout, sys.stderr = Stream(outputs, "stdout", 1), Stream(outputs, "stderr", 2)
