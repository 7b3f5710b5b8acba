"""The kernels that run at one time: their processor time, and an end for all of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil  # type: ignore[import-untyped]


class Stopped(Exception):
    """Somebody asked for the end: a chapter was not run to its own."""


class Kernels:
    """The kernels that run at one time, so that whoever waits for them can end them all."""

    def __init__(self) -> None:
        self._clients: list[Any] = []
        self._stopped = threading.Event()

    @contextmanager
    def running(self, client: Any) -> Iterator[None]:
        """While `client` executes a notebook, `stop` ends its kernel."""
        self._clients.append(client)
        try:
            yield
        finally:
            self._clients.remove(client)

    def go_on(self) -> None:
        """Between two cells.

        Raises:
            Stopped: when `stop` was called; nbclient then ends the kernel.
        """
        if self._stopped.is_set():
            raise Stopped

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End every kernel and what it has started; no further cell begins."""
        self._stopped.set()
        for client in list(self._clients):
            if (process := process_of(client)) is not None:
                with suppress(psutil.NoSuchProcess):
                    for each in [*process.children(recursive=True), process]:
                        with suppress(psutil.NoSuchProcess):
                            each.kill()


def process_of(client: Any) -> Any:
    """The process of a client's kernel; None where it has none (yet, or any more)."""
    manager = client.km
    pid = getattr(manager.provisioner, "pid", None) if manager is not None else None
    try:
        return psutil.Process(pid) if pid else None
    except psutil.NoSuchProcess:
        return None


def cpu_seconds(client: Any) -> float:
    """Processor time of the kernel and of what it has waited for: with one thread the time on an idle machine."""
    process = process_of(client)
    return sum(process.cpu_times()[:4]) if process is not None else 0.0
