"""ReAct: a model that thinks, uses a tool, reads what came back, and goes on, until it answers.

Holds the loop and its transcript. Leaves out the tools, but for the calculator beside it: a search tool is chapter
10's index. Built in chapter 9.
"""

import re
from collections.abc import Callable, Mapping

from byhand.prompting.calculator import calculate

FORMAT = "Action: tool[input]"
FINISH = "finish"
CALCULATOR: Mapping[str, Callable[[str], str]] = {"calculator": calculate}
_ACTION = re.compile(r"^[ \t]*Action:[ \t]*(\w+)[ \t]*\[(.*)\][ \t.]*$", re.MULTILINE)
_OBSERVATION = re.compile(r"^[ \t]*Observation:", re.MULTILINE)


def react(
    policy: Callable[[str], str], tools: Mapping[str, Callable[[str], str]], question: str, max_steps: int
) -> tuple[str | None, str]:
    r"""Let a model reason and act in turn, and return its answer with the transcript.

    Each turn the policy reads the transcript and writes a thought and one line `Action: tool[input]`. The tool's
    result is added as `Observation: …`, word for word, and the next turn begins. `Action: finish[answer]` ends
    the loop. What the policy writes after its first action, or after an observation that it made up, is thrown
    away: only a tool observes. A tool that does not exist, a tool that fails, a turn without an action: the
    observation says so, and the model may mend it. Yao et al. 2023 ("ReAct"), section 2.

    Args:
        policy: a completion of the transcript, such as `lambda text: model.complete(text, stop=["Observation:"])`.
        tools: name to a function of one text.
        question: what to answer.
        max_steps: turns before it gives up.

    Returns:
        The answer, or None when the turns were used up; and the transcript.

    Raises:
        ValueError: when `max_steps` is below 1, or a tool is called `finish`.

    >>> turns = iter(["Thought: I add.\nAction: calculator[2 + 3]", "Thought: Done.\nAction: finish[5]"])
    >>> answer, transcript = react(lambda text: next(turns), CALCULATOR, "What is 2 + 3?", max_steps=4)
    >>> answer
    '5'
    >>> print(transcript)
    Question: What is 2 + 3?
    Thought: I add.
    Action: calculator[2 + 3]
    Observation: 5
    Thought: Done.
    Action: finish[5]
    """
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, got {max_steps}")
    if FINISH in tools:
        raise ValueError(f"no tool may be called {FINISH!r}, which ends the loop: rename it")
    transcript = f"Question: {question}\n"
    for _ in range(max_steps):
        written = _OBSERVATION.split(policy(transcript), maxsplit=1)[0].strip()
        action = _ACTION.search(written)
        if action is None:
            transcript += f"{written}\nObservation: no action found; write {FORMAT} or Action: {FINISH}[answer]\n"
            continue
        name, given = action.groups()
        transcript += written[: action.end()] + "\n"
        if name == FINISH:
            return given, transcript.rstrip("\n")
        transcript += f"Observation: {_use(tools, name, given)}\n"
    return None, transcript.rstrip("\n")


def _use(tools: Mapping[str, Callable[[str], str]], name: str, given: str) -> str:
    if name not in tools:
        return f"there is no tool {name!r}; there is {', '.join([*tools, FINISH])}"
    try:
        return tools[name](given)
    except Exception as error:
        return f"{name} failed: {error}"
