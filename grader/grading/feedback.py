"""What a student reads and what a teacher can replay: one page and one JSON for each student.

The page has no script, asks nothing of any other server, and escapes everything. It holds the words of the
verdicts, never hidden source, inputs that a judge did not mention, or expected values.
"""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from grader.execution.plan import Outcome
from grader.grading.assignment import Assignment
from grader.grading.judging import WITHOUT_SANDBOX, shortened
from grader.grading.recalling import Seen
from grader.grading.suspicion import reasons_to_look
from grader.hidden import Result
from grader.page import whole_page

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1c1e; --soft: #5b5b63; --line: #d6d6dc;
  --card: #f6f6f8; --good: #17692f; --part: #8a5200; --bad: #a8201a; }
@media (prefers-color-scheme: dark) { :root { --paper: #17171a; --ink: #ececf0; --soft: #a9a9b3;
  --line: #3a3a42; --card: #212126; --good: #6fd08c; --part: #f0b35a; --bad: #ff8f87; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 46rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.05rem; margin: 0; }
.soft, footer { color: var(--soft); font-size: .9rem; }
.total { font-size: 2rem; font-weight: 650; margin: .75rem 0 0; }
meter { width: 100%; height: 1rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .8rem 1rem; margin: 1rem 0; }
section > header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; justify-content: space-between;
  align-items: baseline; }
.points { font-variant-numeric: tabular-nums; white-space: nowrap; }
ul { margin: .5rem 0 0; padding-left: 0; list-style: none; }
li { margin: .4rem 0; }
.verdict { padding-left: 1.6rem; position: relative; }
.mark { position: absolute; left: 0; font-weight: 700; }
.words { display: block; white-space: pre-wrap; }
.facts { margin: .5rem 0 0; text-align: right; }
.good { color: var(--good); }
.part { color: var(--part); }
.bad { color: var(--bad); }
code { font-size: .92em; }
footer { margin-top: 2rem; border-top: 1px solid var(--line); padding-top: .75rem; }
"""


def result_record(
    assignment: Assignment,
    seen: Seen,
    results: Mapping[str, Result],
    outcome: Outcome,
    keys: Mapping[str, str],
) -> dict[str, Any]:
    """Everything that decided one score, as plain JSON: enough to draw the same cases and judge again.

    Args:
        assignment: the chapter.
        seen: the submission.
        results: by exercise.
        outcome: what ran.
        keys: what results depend on today, by name (`edition`, `checks`, `library`, `environment`).
    """
    submission, seeds = seen.submission, seen.kept.seeds
    exercises = []
    for exercise in assignment.exercises:
        result = results[exercise.label]
        exercises.append(
            {
                "exercise": exercise.label,
                "number": exercise.number,
                "title": exercise.title,
                "points": result.points,
                "max_points": exercise.points,
                "criteria": [
                    {
                        "name": finding.criterion,
                        "met": finding.met,
                        "points": finding.points,
                        "max_points": finding.max_points,
                        "words": shortened(finding.words),
                    }
                    for finding in result.findings
                ],
                "note": shortened(outcome.notes.get(exercise.label, "")),
                "spent": _rounded(outcome.spent.get(exercise.label)),
                "seed": str(seeds[exercise.label]) if exercise.label in seeds else None,
            }
        )
    return {
        "chapter": assignment.chapter.id,
        "student": submission.student,
        "points": sum(result.points for result in results.values()),
        "max_points": sum(exercise.points for exercise in assignment.exercises),
        "problem": submission.problem,
        "exercises": exercises,
        "repairs": [*submission.remarks, *seen.prepared.repairs],
        "attempt": submission.digest,
        "received": submission.received.isoformat() if submission.received else None,
        "claimed": submission.claimed,
        **keys,
        "isolation": outcome.isolation,
        "start": outcome.start,
        "remark": outcome.remark,
        "suspicious": reasons_to_look(assignment, seen, outcome),
        "used": {
            "seconds": round(outcome.seconds, 2),
            "cpu_seconds": _rounded(outcome.cpu_seconds),
            "peak_mb": None if outcome.peak_mb is None else round(outcome.peak_mb),
        },
        "notes": {
            key: shortened(words)
            for key, words in outcome.notes.items()
            if key not in {exercise.label for exercise in assignment.exercises}
        },
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def as_json(record: Mapping[str, Any]) -> bytes:
    """The record as a file: keys in a fixed order, so that equal results are equal files."""
    return (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def as_page(record: Mapping[str, Any], title: str, language: str = "en") -> bytes:
    """The record as a page for the student.

    Args:
        record: from `result_record`.
        title: the chapter's title.
        language: the course's language.
    """
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="soft">{_text(str(record["student"]))}</p>',
        f'<p class="total">{record["points"]:g} <span class="soft">of {record["max_points"]:g} points</span></p>',
        f'<meter min="0" max="{record["max_points"]:g}" value="{record["points"]:g}">'
        f"{record['points']:g} of {record['max_points']:g}</meter>",
    ]
    if record["problem"]:
        parts.append(f'<section><h2 class="bad">Not graded</h2><p>{_text(record["problem"])}</p></section>')
    else:
        if record["isolation"] == "none":
            parts.append(f'<p class="part">This was {WITHOUT_SANDBOX}.</p>')
        parts += [_exercise(exercise) for exercise in record["exercises"]]
        parts += _list("What was mended", record["repairs"])
        parts += _list("What happened while it ran", list(record["notes"].values()))
    parts.append(_footer(record))
    return whole_page(language, f"{title}: {record['student']}", STYLE, "\n".join(parts))


def _exercise(exercise: Mapping[str, Any]) -> str:
    kind = "good" if exercise["points"] >= exercise["max_points"] else "part" if exercise["points"] else "bad"
    items = "\n".join(_criterion(criterion) for criterion in exercise["criteria"])
    note = f'<p class="soft">{_text(exercise["note"])}</p>' if exercise["note"] else ""
    facts = [f"{exercise['spent']:.1f} s"] if exercise["spent"] is not None else []
    facts += [f"seed <code>{_text(exercise['seed'])}</code>"] if exercise["seed"] else []
    ran = f'<p class="soft facts">{", ".join(facts)}</p>' if facts else ""
    heading = f"{exercise['number']} {exercise['title']}".strip()
    return (
        f"<section>\n<header><h2>{_text(heading)}</h2>"
        f'<span class="points {kind}">{exercise["points"]:g} of {exercise["max_points"]:g}</span></header>\n'
        f"<ul>\n{items}\n</ul>{note}{ran}\n</section>"
    )


def _criterion(criterion: Mapping[str, Any]) -> str:
    kind, mark, said = ("good", "✓", "met") if criterion["met"] else ("bad", "✗", "not met")
    words = f'<span class="words">{_text(criterion["words"])}</span>' if criterion["words"] else ""
    return (
        f'<li class="verdict"><span class="mark {kind}" role="img" aria-label="{said}">{mark}</span>'
        f'{_text(criterion["name"])} <span class="soft">({criterion["max_points"]:g})</span>{words}</li>'
    )


def _list(heading: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    items = "\n".join(f"<li>{_text(line)}</li>" for line in lines)
    return [f"<section><h2>{heading}</h2><ul>{items}</ul></section>"]


def _footer(record: Mapping[str, Any]) -> str:
    used = record["used"]
    facts = [f"{used['seconds']:g} s"] if used["seconds"] else []
    if used["peak_mb"]:
        facts.append(f"{used['peak_mb']:,} MB of memory")
    ran = f"It ran for {' and used '.join(facts)}. " if facts else ""
    return (
        f"<footer>{ran}Course edition {_text(str(record['edition']))}; attempt "
        f"<code>{_text(record['attempt'][:16])}</code>. "
        "Your teacher can repeat this result from the attempt and the seeds.</footer>"
    )


def _text(value: str) -> str:
    return html.escape(value, quote=True)
