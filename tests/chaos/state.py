"""All that a graded class holds, in a form in which two runs can be compared."""

import json
import re
from pathlib import Path
from typing import Any

TIMES = ("used", "spent", "received", "start", "remark")
"""Keys of a result that tell how long something took or which way it was started."""


def state_of(folder: Path) -> dict[str, Any]:
    """Gradebook, results, feedback pages and notebooks of a class folder, without times and random ids."""
    notebooks = folder.glob("autograded/*/*/*.ipynb")
    return {
        "gradebook": _gradebook(folder),
        "results": {_student(path): _timeless(json.loads(path.read_text())) for path in _files(folder, "result.json")},
        "pages": {_student(path): _without_times(path.read_text()) for path in _files(folder, "feedback.html")},
        "notebooks": {str(path.relative_to(folder)): path.read_text() for path in notebooks},
        "left over": sorted(path.name for path in folder.iterdir() if path.name.startswith("prepared")),
    }


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What differs, a line each."""
    lines = []
    for part, value in wanted.items():
        if isinstance(value, dict):
            names = {*value, *found[part]}
            lines += [f"{part}: {name}" for name in sorted(names) if value.get(name) != found[part].get(name)]
        elif value != found[part]:
            missing = [row for row in value if row not in found[part]]
            surplus = [row for row in found[part] if row not in value]
            lines.append(f"{part}: missing {missing[:2]}, instead {surplus[:2]}")
            if not missing and not surplus:
                lines.append(f"{part}: {len(found[part])} rows instead of {len(value)}")
    return lines


def _files(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(f"feedback/*/*/{name}"))


def _student(path: Path) -> str:
    return path.parent.parent.name


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key not in TIMES}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def _without_times(page: str) -> str:
    page = re.sub(r"\b[\d.]+ s\b", "N s", page)
    return re.sub(r"It ran for .*?\. Course", "Course", re.sub(r"[\d,]+ MB of memory", "N MB of memory", page))


def _gradebook(folder: Path) -> list[Any]:
    """Every row of every submission: students, scores, comments, flags; each must be there once."""
    from nbgrader.api import Gradebook

    rows: list[Any] = []
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        rows += [("student", each.id) for each in gradebook.students]
        for submission in gradebook.assignment_submissions("01-tiny"):
            who = submission.student_id
            rows.append(("submission", who, submission.score, submission.max_score, str(submission.timestamp)))
            for book in submission.notebooks:
                rows.append(("notebook", who, book.name, book.flagged, book.late_submission_penalty))
                rows += [
                    (
                        "grade",
                        who,
                        each.name,
                        each.auto_score,
                        each.manual_score,
                        each.extra_credit,
                        each.needs_manual_grade,
                    )
                    for each in book.grades
                ]
                rows += [("comment", who, each.name, each.auto_comment, each.manual_comment) for each in book.comments]
    return sorted(rows, key=str)
