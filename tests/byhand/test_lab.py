"""What notebooks ask of their surroundings."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from byhand import lab


def check_double(double):
    assert double(2) == 4, "double of 2 is 4\nand so on"


def test_a_right_answer_is_handed_back(capsys):
    def answer(x):
        return x + x

    assert lab.checkpoint("0.1", answer, check=check_double, stand_in=lambda x: 2 * x) is answer
    assert capsys.readouterr().out == "0.1 passes: your own code is used\n"


def unwritten(x):
    raise NotImplementedError


def endless(x):
    return endless(x)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (unwritten, "not written yet"),
        (lambda x: x, "double of 2 is 4"),
        (lambda x: {}["key"], "'key'"),
        (lambda: None, "positional argument"),
        (endless, "recursion"),
        (None, "not callable"),
    ],
)
def test_whatever_goes_wrong_the_stand_in_takes_over_and_the_reason_is_one_line(answer, reason, capsys):
    def stand_in(x):
        return 2 * x

    assert lab.checkpoint("0.1", answer, check=check_double, stand_in=stand_in) is stand_in
    printed = capsys.readouterr().out
    assert reason in printed
    assert printed.splitlines()[0] == "0.1 is open: a stand-in is used"
    assert printed.count("\n") == 2


def test_an_interrupt_is_not_taken_for_a_wrong_answer():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.checkpoint("0.1", interrupted, check=check_double, stand_in=abs)


def test_a_prediction_is_shown_beside_the_outcome(capsys):
    assert lab.predict("n", 2, choices=[1, 2, 3]) == 2
    lab.compare("n", 3)
    lab.compare("n", 2)
    lab.predict("loss", 1.5)
    lab.compare("loss", 0.25)
    lab.predict("which", "words")
    lab.compare("which", "bytes")
    assert capsys.readouterr().out.splitlines() == [
        "n: you said 2, it is 3 (1 too low).",
        "n: you said 2, and so it is.",
        "loss: you said 1.5, it is 0.25 (1.25 too high).",
        "which: you said words, it is bytes.",
    ]


def test_no_prediction_is_fine(capsys):
    assert lab.predict("empty", None) is None
    lab.compare("empty", 5)
    lab.compare("never asked", 5)
    assert capsys.readouterr().out.count("(not predicted)") == 2


def test_a_prediction_outside_the_choices_is_named_and_not_kept(capsys):
    assert lab.predict("n2", 9, choices=[1, 2]) is None
    assert "9 is not among the choices [1, 2]" in capsys.readouterr().out
    lab.compare("n2", 1)
    assert "not predicted" in capsys.readouterr().out


def test_one_seed_seeds_python_numpy_and_torch():
    draws = []
    for _ in range(2):
        rng = lab.seed(7)
        draws.append((rng.random(), random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]


def test_the_device_is_cuda_or_the_cpu():
    assert lab.device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_style_is_readable_and_told_apart_without_colour_vision():
    import matplotlib as mpl

    with mpl.rc_context():
        lab.style()
        assert mpl.rcParams["font.size"] >= 12
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"][:2] == ["#0072B2", "#D55E00"]


def test_the_lab_is_light_and_sets_the_wait_policy_before_torch_loads():
    code = (
        "import sys, os, byhand.lab;"
        "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    clean = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    ran = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["PASSIVE", "False", "False"]
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "OMP_WAIT_POLICY": "ACTIVE"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split()[0] == "ACTIVE"
