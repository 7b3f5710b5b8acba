"""What a submission tries to be given points, as far as execution goes: answers are data, and its own."""

from collections.abc import Callable

import pytest

from grader.hidden import Raised

pytestmark = pytest.mark.sandbox

GOOD = {"double": [14, 16], "triple": [21, 24]}


@pytest.mark.bank("tampers with the shell: the exercise before it is graded, nothing is gained")
def test_tampering_with_the_shell_gains_nothing(submit: Callable, hostile: str) -> None:
    outcome = submit(hostile)
    assert outcome.answers["double"] == GOOD["double"]
    assert all(answer in (21, 24) or type(answer) is Raised for answer in outcome.answers["triple"])


@pytest.mark.bank("tampers with the process: harms its own student only")
def test_tampering_with_the_process_harms_its_own_student_only(submit: Callable, hostile: str) -> None:
    outcome = submit(hostile, total_seconds=15)
    for name in GOOD:
        answers = outcome.answers.get(name, [])
        assert all(answer in (*GOOD[name], 999) or type(answer) is Raised for answer in answers)


@pytest.mark.bank("writes to the grader's pipe: harms its own student only")
def test_forged_lines_harm_their_own_student_only(submit: Callable, hostile: str) -> None:
    source = f"""
import os
for fd in range(3, 64):
    try:
        if os.fstat(fd).st_mode & 0o170000 == 0o010000:
            data = {hostile.strip()}
            while data:
                data = data[os.write(fd, data[:65536]):]
    except OSError:
        pass
"""
    outcome = submit(source, total_seconds=15)
    for name in GOOD:
        answers = outcome.answers.get(name, [])
        assert all(answer in GOOD[name] or type(answer) is Raised for answer in answers)
    assert set(outcome.outputs) <= {"double", "hostile-0", "triple"}


@pytest.mark.bank("lies in its answer: is that student's own failure")
def test_a_lying_answer_is_that_students_own_failure(answer_with: Callable, hostile: str) -> None:
    outcome = answer_with(hostile)
    assert {type(answer) for answer in outcome.answers["answer"]} == {Raised}
    assert outcome.answers["triple"] == GOOD["triple"]
    for answer in outcome.answers["answer"]:
        assert len(answer.kind) <= 100
        assert len(answer.message) <= 1000
        answer.message.encode()


PLAIN = {
    "10 ** 5000": 10**5000,
    "-(1 << 70)": -(1 << 70),
    "float('inf')": float("inf"),
    "[None, True, '', {'~': 'array'}]": [None, True, "", {"~": "array"}],
    "(1, (2, 3))": [1, [2, 3]],
    "'\\n\\0'": "\n\0",
}


@pytest.mark.parametrize("code", PLAIN)
def test_odd_but_plain_answers_come_back_as_they_are(answer_with: Callable, code: str) -> None:
    assert answer_with(f"answer = lambda: {code}").answers["answer"] == [PLAIN[code]] * 2


def test_nothing_of_the_probes_is_in_the_process_while_cells_run(submit: Callable, shown: Callable) -> None:
    source = """
import gc
held = (x for x in gc.get_objects() if type(x) in (list, dict, tuple))
print(sum("".join(["def pro", "be"]) in repr(x)[:10**6] for x in held),
      "".join(["def pro", "be"]) in open("/proc/self/cmdline").read())
"""
    assert shown(submit(source, cell_seconds=20, memory_mb=2000)).split() == ["0", "False"]


def test_outputs_made_while_probing_go_nowhere(answer_with: Callable) -> None:
    outcome = answer_with(
        """
import os, sys
from IPython.display import display
def answer():
    print("leak"); print("leak", file=sys.stderr); display("leak")
    os.write(1, b"leak"); os.system("echo leak")
    return 1
"""
    )
    assert outcome.answers["answer"] == [1, 1]
    assert "leak" not in str(outcome)
