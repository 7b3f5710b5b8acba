"""What one child does to itself reaches neither its parent nor the next child."""

import os
import time

from grader.proving.forks import Job, run_forked


def collect(*works, seconds=20.0, parallel=2):
    return {key: (result, ended) for key, result, ended in run_forked(
        [Job(number, work, seconds) for number, work in enumerate(works)], parallel
    )}  # fmt: skip


def test_results_come_back_by_key():
    assert collect(lambda: 3, lambda: {"a": [1.5, None]}) == {0: (3, ""), 1: ({"a": [1.5, None]}, "")}


def test_a_child_that_ends_itself_costs_itself():
    found = collect(lambda: os._exit(0), lambda: 1 / 0, lambda: "fine")
    assert found[2] == ("fine", "")
    assert found[0][0] is None
    assert "ended with 0" in found[0][1]
    assert "ended with 1" in found[1][1]


def test_a_child_that_never_ends_is_stopped():
    def loop():
        while True:
            time.sleep(0.01)

    assert collect(loop, seconds=0.3) == {0: (None, "no result within 0.3 s")}


def test_a_child_that_computes_for_ever_is_stopped_by_its_cpu_time():
    def loop():
        while True:
            pass

    found = list(run_forked([Job(0, loop, 60, cpu_seconds=0.5)], 1))
    assert found == [(0, None, "no result within its CPU time")]


def test_a_child_that_eats_memory_is_stopped_by_its_limit():
    result, ended = collect(lambda: len(bytearray(8 << 30)))[0]
    assert result is None
    assert ended


def test_children_do_not_share_what_they_change():
    shared = []

    def work():
        shared.append(1)
        return len(shared)

    assert collect(work, work, work) == {0: (1, ""), 1: (1, ""), 2: (1, "")}
    assert shared == []


def test_large_results_pass():
    assert collect(lambda: "x" * (1 << 21))[0] == ("x" * (1 << 21), "")
