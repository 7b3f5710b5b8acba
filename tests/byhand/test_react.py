"""ReAct and its calculator: only tools observe, nothing that a model writes is run, and the loop ends."""

import pytest
from byhand.prompting import CALCULATOR, calculate, react
from hypothesis import given, settings
from hypothesis import strategies as st


def scripted(*turns):
    said = iter(turns)
    read = []

    def policy(transcript):
        read.append(transcript)
        return next(said)

    policy.read = read
    return policy


def test_an_observation_is_the_tools_own_words_and_the_next_turn_reads_it():
    policy = scripted("Thought: look.\nAction: look[a [b] c]", "Action: finish[done]")
    answer, transcript = react(policy, {"look": lambda text: f"<{text}>\n  two lines"}, "Q?", 5)
    assert answer == "done"
    expected = "Question: Q?\nThought: look.\nAction: look[a [b] c]\nObservation: <a [b] c>\n  two lines\n"
    assert policy.read == ["Question: Q?\n", expected]
    assert transcript == expected + "Action: finish[done]"


def test_observations_that_the_model_invents_are_thrown_away():
    policy = scripted(
        "Action: calculator[6*7]\nObservation: 43\nAction: finish[43]",
        "Thought: so.\nObservation: 44\nAction: finish[44]",
        "Action: finish[42]",
    )
    answer, transcript = react(policy, CALCULATOR, "Q?", 5)
    assert answer == "42"
    assert "43" not in transcript
    assert "44" not in transcript
    assert "Observation: 42\n" in transcript


def test_of_several_actions_the_first_is_taken():
    answer, transcript = react(scripted("Action: finish[1]\nAction: finish[2]"), CALCULATOR, "Q?", 5)
    assert answer == "1"
    assert "finish[2]" not in transcript


@pytest.mark.parametrize(
    ("turn", "observation"),
    [
        ("Action: search[x]", "there is no tool 'search'; there is calculator, finish"),
        ("Action: calculator[1/0]", "calculator failed: division by zero in '1/0'"),
        ("I think it is 5.", "no action found; write Action: tool[input] or Action: finish[answer]"),
        ("", "no action found"),
    ],
)
def test_what_goes_wrong_is_observed_and_the_loop_goes_on(turn, observation):
    answer, transcript = react(scripted(turn, "Action: finish[5]"), CALCULATOR, "Q?", 5)
    assert answer == "5"
    assert f"Observation: {observation}" in transcript


def test_the_loop_ends_without_an_answer_when_the_steps_are_used_up():
    policy = scripted(*["Action: calculator[1+1]"] * 9)
    answer, transcript = react(policy, CALCULATOR, "Q?", 3)
    assert answer is None
    assert len(policy.read) == 3
    assert transcript.count("Observation: 2") == 3


def test_settings_that_cannot_work_are_named():
    with pytest.raises(ValueError, match="max_steps must be at least 1, got 0"):
        react(scripted(), CALCULATOR, "Q?", 0)
    with pytest.raises(ValueError, match="no tool may be called 'finish'"):
        react(scripted(), {"finish": str}, "Q?", 1)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 3 * 4", "14"),
        (" -(7 - 10) ** 3 ", "27"),
        ("7 // 2 - 7 % 4", "0"),
        ("1 / 8", "0.125"),
        ("6 / 2", "3"),
        ("+1e3", "1000"),
        ("2 ** -1", "0.5"),
    ],
)
def test_the_calculator_calculates(expression, value):
    assert calculate(expression) == value


@given(
    st.recursive(
        st.integers(0, 99).map(str),
        lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({''.join(t)})"),
        max_leaves=8,
    )
)
@settings(deadline=None)
def test_the_calculator_agrees_with_python_on_integers(expression):
    assert calculate(expression) == str(eval(expression))  # noqa: S307  (generated from digits and signs)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').getcwd()",
        "[].__class__",
        "x + 1",
        "'a' * 3",
        "True + 1",
        "1 if 2 else 3",
        "1 < 2",
        "~1",
        "1j * 2",
        "(lambda: 1)()",
        "[1][0]",
        "2 << 3",
        "print(1)",
    ],
)
def test_the_calculator_runs_nothing_that_is_not_arithmetic(expression):
    with pytest.raises(ValueError, match="the calculator knows numbers"):
        calculate(expression)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("9**9**9", "too large: base and exponent may be at most 1000"),
        ("10**1001", "too large: base and exponent"),
        ("1e308 * 10", "result of .* is too large"),
        ("1e308 * 10 - 1e308 * 10", "result of .* is too large"),
        ("1e999", "result of .* is too large"),
        ("(-8) ** 0.5", "is no real number"),
        ("1 +", "this is no arithmetic expression"),
        ("", "this is no arithmetic expression"),
        ("1; 2", "this is no arithmetic expression"),
        ("a = 1", "this is no arithmetic expression"),
        ("1" * 201, "has 201 characters, more than 200"),
        ("\0", "this is no arithmetic expression"),
        ("0 // 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("1000 ** 1000 ** 2", "too large"),
        ("(999**999)*(999**999)", "result of .* is too large"),
        ("5.0 ** 999", "result of .* is too large"),
    ],
)
def test_an_expression_without_a_value_is_named(expression, words):
    with pytest.raises(ValueError, match=words):
        calculate(expression)
