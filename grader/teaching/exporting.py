"""The summary of a class as JSON, for programs: the form is `summary.schema.json`, and it stays."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grader.files import write_whole
from grader.teaching.summary import Summary

SCHEMA = 1
"""The number of the form: it changes when a key is renamed, taken away or means something else."""


def as_json(summary: Summary) -> dict[str, Any]:
    """The summary as plain values, in the form of `summary.schema.json`."""
    report, results = summary.report, summary.results
    return {
        "schema": SCHEMA,
        "title": report.title,
        "chapter": summary.chapter_id,
        "scores": asdict(summary.scores),
        "exercises": [asdict(each) for each in summary.exercises],
        "misconceptions": [asdict(each) for each in summary.misconceptions],
        "waiting": summary.waiting,
        "missing": list(report.missing),
        "not_graded": [asdict(each) for each in summary.unplaced],
        "suspicious": [asdict(each) for each in summary.suspicious],
        "repairs": [asdict(each) for each in summary.repairs],
        "remarks": [asdict(each) for each in summary.remarks],
        "engine": dict(summary.engine),
        "students": [
            {
                "student": row.student,
                "total": row.total,
                "points": {column.label: row.points.get(column.label) for column in report.columns},
                "penalty": row.penalty,
                "waiting": row.waiting,
                "seconds": getattr(results.get(row.student), "seconds", None),
                "cpu_seconds": getattr(results.get(row.student), "cpu_seconds", None),
                "peak_mb": getattr(results.get(row.student), "peak_mb", None),
            }
            for row in report.rows
        ],
    }


def write_json(summary: Summary, path: Path) -> None:
    """Write the summary as JSON."""
    text = json.dumps(as_json(summary), indent=1, ensure_ascii=False) + "\n"
    write_whole(path, text.encode("utf-8", "replace"))
