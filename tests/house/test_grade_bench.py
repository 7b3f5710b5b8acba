"""The grading bench counts what it says: every process, each page of memory once, slopes and not totals."""

import os
import statistics
import subprocess
import sys
import time

import pytest

from grader.course import load_course
from tests.bench.grading.against_stock import Comparison, as_markdown
from tests.bench.grading.classes import MINI, Subject, mixed_submissions, right_submissions
from tests.bench.grading.meter import Cost, Group, cost_of, memory_of
from tests.bench.grading.thousands import growth

BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"


def test_cpu_seconds_of_grandchildren_are_counted(tmp_path):
    program = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\n{BURN}"
    cost = cost_of([sys.executable, "-c", program], tmp_path, dict(os.environ))
    assert 0.6 <= cost.cpu < 5


def test_a_process_that_nobody_waits_for_is_counted_where_groups_can_be_made(tmp_path):
    program = f"import subprocess, sys, os\nsubprocess.Popen([sys.executable, '-c', {BURN!r}])\nos._exit(0)"
    group = Group("orphans")
    if group.counted_by != "cgroup":
        pytest.skip("no control group can be made here")
    done = subprocess.run([sys.executable, "-c", program], preexec_fn=group.enter, check=True)
    deadline = time.monotonic() + 60
    while group.seconds() < 0.3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert done.returncode == 0
    assert group.seconds() >= 0.3
    group.close()


def test_a_failing_command_says_what_it_said(tmp_path):
    with pytest.raises(RuntimeError, match="out of paper"):
        cost_of([sys.executable, "-c", "import sys; sys.exit('out of paper')"], tmp_path, dict(os.environ))


def test_memory_of_this_process_is_about_what_the_kernel_says():
    found = memory_of(os.getpid())
    assert 10 < found["coordinator"] < 10_000


def test_each_further_notebook_is_the_slope_between_the_batches():
    costs = {
        side: {3: [Cost(start + 3 * each, 1, "rusage")], 12: [Cost(start + 12 * each, 1, "rusage")] * 3}
        for side, start, each in (("stock", 3.0, 5.0), ("course", 9.0, 0.5))
    }
    compared = Comparison("torch", "imports torch", (3, 12), costs)
    summary = compared.summary()
    assert summary["ratio of each further"] == pytest.approx(10)
    assert summary["ratio of the batch"] == pytest.approx(63 / 15)
    assert "| 63.0 | 15.0 | 4.2 | 5.00 / 0.50 | 10.0 | 5 |" in as_markdown([summary])


def test_growth_compares_the_beginning_with_the_end():
    flat = [{"workers": 100.0} for _ in range(50)]
    rising = [{"workers": float(number)} for number in range(50)]
    assert growth(flat, "workers") == {"early": 100, "late": 100, "peak": 100}
    assert growth(rising, "workers")["late"] > growth(rising, "workers")["early"] + 30
    assert growth(rising[:3], "workers") == {"peak": 2}


def test_each_simulated_submission_has_other_bytes_and_the_same_ones_each_time():
    subject = Subject("trivial", "", load_course(MINI))
    made = list(mixed_submissions(subject, 40))
    assert made == list(mixed_submissions(subject, 40))
    assert len({data for _, data in made}) == 40
    assert len({data for _, data in right_submissions(subject, 5)}) == 5
    assert statistics.stdev(len(data) for _, data in made) > 100
