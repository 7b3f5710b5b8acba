"""Words that come back from a student's process, kept from carrying the check out with them.

A probe runs where student code runs, and an answer that looks at its caller finds the probe's text. It could
put that text into an exception or an answer that a judge quotes, and read it in the feedback. So words that
repeat a line of the probe are not shown. This keeps verbatim text in; it cannot keep in what is told in
another form, and nothing that decides a score is there to be told.
"""

import functools
from dataclasses import replace

from grader.hidden import HiddenCheck, Result, probe_source

TELLING = 16
"""Letters and digits of the shortest line by which a probe is recognised."""

INSTEAD = "the words of this failure repeat the check itself; they are not shown"


def withhold(check: HiddenCheck, result: Result) -> Result:
    """The result without words that repeat a line of the check's probe.

    Args:
        check: the hidden check.
        result: what it decided.
    """
    if not any(finding.words for finding in result.findings):
        return result
    lines = _telling_lines(probe_source(check))
    findings = tuple(
        replace(finding, words=INSTEAD) if any(line in _letters(finding.words) for line in lines) else finding
        for finding in result.findings
    )
    return replace(result, findings=findings)


@functools.lru_cache(maxsize=64)
def _telling_lines(source: str) -> frozenset[str]:
    return frozenset(line for text in source.splitlines() if len(line := _letters(text)) >= TELLING)


def _letters(text: str) -> str:
    """A text without what quoting, escaping and wrapping change.

    A line break that `repr` has written as a backslash and an n does not join two words.
    """
    plain = text.replace("\\n", "\n").replace("\\t", "\t")
    return "".join(letter for letter in plain if letter.isalnum())
