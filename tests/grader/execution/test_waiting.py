"""Waiting for a process: a grader that did not run itself blames nobody."""

import json
import os
import select
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from grader.course import Budget
from grader.execution import box as box_module
from grader.execution.box import AWAY, Box, StoppedError


class Clock:
    """A clock that jumps while the grader waits, as it does for a process that gets no processor."""

    def __init__(self, jumps: list[float]) -> None:
        self.now, self.jumps = 1000.0, jumps

    def monotonic(self) -> float:
        return self.now

    def poll(self) -> Any:
        real = select.poll()
        waiting = SimpleNamespace(register=real.register)

        def poll(milliseconds: float) -> Any:
            found = real.poll(0)
            self.now += self.jumps.pop(0) if self.jumps else milliseconds / 1000
            return found

        waiting.poll = poll
        return waiting


@pytest.fixture
def pipes() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def waiting_box(pipes: tuple[int, int], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setattr(box_module, "time", SimpleNamespace(monotonic=clock.monotonic))
    monkeypatch.setattr(box_module, "select", SimpleNamespace(poll=clock.poll, POLLIN=select.POLLIN))
    monkeypatch.setattr(Box, "_look", lambda self: None)
    process: Any = SimpleNamespace(reading=pipes[0], writing=pipes[1], bell=None, ending=lambda seconds: None)
    return Box(Budget(), process, SimpleNamespace())


def test_an_answer_that_came_while_the_grader_did_not_run_is_taken(
    pipes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock([7.0])
    box = waiting_box(pipes, clock, monkeypatch)
    line = json.dumps({"cell": 0}).encode()

    def answer_meanwhile(self: Box) -> None:
        if clock.now > 1000 and not answered:
            answered.append(os.write(pipes[1], line + b"\n"))

    answered: list[int] = []
    monkeypatch.setattr(Box, "_look", answer_meanwhile)
    assert box.receive(clock.now + 5, 1000) == line


def test_silence_ends_in_time_all_the_same(pipes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([7.0, 0.5 * AWAY])
    box = waiting_box(pipes, clock, monkeypatch)
    with pytest.raises(StoppedError, match="ran out of time"):
        box.receive(clock.now + 5, 1000)
    assert clock.now < 1000 + 7 + 2 * AWAY


def test_lines_without_end_do_not_hold_off_the_end(pipes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock([])
    box = waiting_box(pipes, clock, monkeypatch)
    deadline = clock.now + 5

    def listen() -> None:
        while True:
            os.write(pipes[1], b"noise\n")
            box.receive(deadline, 1000)

    with pytest.raises(StoppedError, match="ran out of time"):
        listen()
    assert clock.now < 1000 + 5 + AWAY
