"""Odd names and times of notebooks and students."""

import os
from pathlib import Path

from .entry import Lesson
from .folders import NAME, NOTHING, classroom, folder, honest

for number, odd in enumerate(
    (
        "-rf.ipynb",
        "up..\\..\\gradebook.ipynb",
        "a\nb.ipynb",
        "<img src=x>.ipynb",
        "$(touch x).ipynb",
        "\u202egpj.ipynb",
        "%2e%2e%2f.ipynb",
    )
):

    @folder(f"an odd name {number + 1}", f"The notebook is named {odd!r}.", kind="folder: names")
    def _(inner: Path, lesson: Lesson, odd: str = odd) -> None:
        (inner / odd).write_bytes(honest(lesson))


for number, odd in enumerate(
    (
        "a [b]",
        "[!a]*",
        "star*",
        "{student_id}",
        "%s%n",
        "--force",
        "'; drop table grade; --",
        "<script>pwned=1</script".replace("/", "∕"),
        "$(touch pwned)",
        "~root",
        "café",
        "x" * 128,
    )
):

    @folder(
        f"a student named oddly {number + 1}",
        f"The student's folder is named {odd[:30]}.",
        kind="folder: students",
        student=odd,
    )
    def _(inner: Path, lesson: Lesson) -> None:
        (inner / NAME).write_bytes(honest(lesson))


for number, odd in enumerate(("x" * 200, " space", "line\nbreak", "back\\slash", "..\\up", "tab\tted")):

    @folder(
        f"a student that no gradebook holds {number + 1}",
        f"The student's folder is named {odd[:30]!r}.",
        kind="folder: students",
        student=odd,
        recorded=False,
        **NOTHING,
    )
    def _(inner: Path, lesson: Lesson) -> None:
        (inner / NAME).write_bytes(honest(lesson))


for number, (stamp, words) in enumerate(
    {
        "1999-01-01 00:00:00 UTC": "a time long past",
        "2999-01-01 00:00:00 UTC": "a time to come",
        "yesterday'; --": "no time",
        "9" * 100_000: "a number without end",
    }.items()
):

    @folder(f"a timestamp {number + 1}", f"timestamp.txt holds {words}.", kind="folder: times")
    def _(inner: Path, lesson: Lesson, stamp: str = stamp) -> None:
        (inner / NAME).write_bytes(honest(lesson))
        (inner / "timestamp.txt").write_text(stamp)
        os.utime(inner / NAME, (0, 0))


@folder("a timestamp that is a link", "timestamp.txt is a link to the class secret.", kind="folder: times")
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).write_bytes(honest(lesson))
    (inner / "timestamp.txt").symlink_to(classroom(inner) / ".secret")


@folder(
    "settings beside it",
    "Configuration and modules of the student's own lie beside the notebook.",
    kind="folder: names",
)
def _(inner: Path, lesson: Lesson) -> None:
    (inner / NAME).write_bytes(honest(lesson))
    for name in (
        "nbgrader_config.py",
        "jupyter_config.py",
        "numpy.py",
        "grader.py",
        "conftest.py",
        "sitecustomize.py",
        "json.py",
        "torch.py",
    ):
        (inner / name).write_text("import os; os._exit(3)\n")
