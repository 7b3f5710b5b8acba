"""The page that a student reads first: what this is, how to install it, how to work, what is graded."""

import math

from grader.course import Chapter, Course

ASK = """\
Ask the person who gave you this folder: a deadline, the place to hand in and the forum differ from class to class."""

PAGE = """\
# {title}

Edition {edition}, {extent}. You write the parts yourself, in notebooks, and the checks below
each exercise tell you what is wrong, not only that something is.

| chapter | points | hours | notebook |
|---|---|---|---|
{rows}

## Install it once

You need Python {python}, a network for this step only, and {disk}.
Open a terminal in this folder (the one with this README).

Linux and macOS:

    python3 -m venv .venv
    .venv/bin/python -m pip install -r requirements.txt

Windows:

    py -m venv .venv
    .venv\\Scripts\\python -m pip install -r requirements.txt
{gpu}
**You have an earlier bundle of this course?** Unpack the new one beside it, and install its `requirements.txt`
with the same Python as before. Your old notebooks stay where they are.

## Start

Linux and macOS: `.venv/bin/jupyter lab chapters`

Windows: `.venv\\Scripts\\jupyter lab chapters`

A browser opens. Choose a chapter's notebook on the left. VS Code and other editors work as well: choose the Python in
`.venv` as the kernel.
{doctor}
## Work

- Write your answer where a cell says so, in place of the line that raises `NotImplementedError`.
- **Run → Run All Cells** goes on past what is not solved yet, so exercises can be skipped and taken up later.
- Run a notebook from the top before you hand it in (**Kernel → Restart Kernel and Run All Cells**): what works only
  because of a cell that is gone counts as not working.
- `{package}` is the course's library. It holds what earlier chapters build, so each chapter can start from working
  parts, and not the modules of the last chapter here: you write those.

## Hand in

Save, and hand in **the notebook itself, under its own name**: {names}.
No zip and no other file, unless you are told so.

## What is graded

- Graded: the code in the answer cells. Other checks of the same exercises, with inputs of their own, decide the
  points; each exercise has named criteria and gives part of the points for part of them.
- Graded by a person: written answers, where a chapter asks for one.
- Not graded: outputs, text, warnings, extra cells, how long you took. Changing a check cell changes nothing: the
  original is put back before grading.
- You get a feedback page: each criterion, met or not, and for a failure the words that name what went wrong.
- Exercises are independent: one that fails or does not end costs its own points only.
- {limits}

## Your class

{notes}

What you may do with the code and the text is in `LICENSE`.
"""

DOCTOR = """
**Something does not work?** `.venv/bin/python -m {module}` (Windows: `.venv\\Scripts\\python`) looks at your
machine and says what to do.
"""

GPU = """
The line above installs what runs everywhere; a graphics card is used where torch finds one. On Linux with an Nvidia
card there is nothing more to do. On Windows with one, and on Linux *without* one (to be spared the large GPU build),
first install `{torch}` with the line that <https://pytorch.org/get-started/locally/> shows for
your machine, then the line above.
"""


def readme(course: Course, chapters: tuple[Chapter, ...], notes: str = "") -> str:
    """The page of a bundle of these chapters.

    Args:
        course: the course.
        chapters: those in the bundle, in order.
        notes: what the instructor adds about the class, Markdown.
    """
    from grader.release.library import library_settings
    from grader.release.requirements import pins

    about = course.settings["course"]
    last = chapters[-1]
    package = str(course.settings["library"]["package"])
    doctor = f"{package}.doctor"
    torch = pins(course.root / "requirements.txt").get("torch")
    text = PAGE.format(
        title=about["title"],
        edition=about["edition"],
        extent=f"chapter `{last.id}`" if len(chapters) == 1 else f"chapters `{chapters[0].id}` to `{last.id}`",
        rows="\n".join(_row(chapter) for chapter in chapters),
        python=_python(str(library_settings(course).get("requires-python", ""))),
        disk="about 2 GB of disk (more for torch's GPU build)" if torch else "1 GB of disk",
        gpu=GPU.format(torch=torch) if torch else "",
        doctor=DOCTOR.format(module=doctor) if course.has_module(doctor) else "",
        package=package,
        names=", ".join(f"`{chapter.page.stem}.ipynb`" for chapter in chapters),
        limits=_limits(chapters),
        notes=notes.strip() or ASK,
    )
    return text if (course.root / "LICENSE").is_file() else text[: text.index("\nWhat you may do")]


def _row(chapter: Chapter) -> str:
    place = f"chapters/{chapter.id}/{chapter.page.stem}.ipynb"
    hours = f"{chapter.hours:g}" if chapter.hours else "-"
    return f"| {chapter.heading} | {chapter.points:g} | {hours} | [{place}]({place}) |"


def _python(requires: str) -> str:
    """In words.

    >>> _python(">=3.11")
    '3.11 or newer'
    """
    return f"{requires.removeprefix('>=').strip()} or newer" if requires.startswith(">=") else "3.11 or newer"


def _limits(chapters: tuple[Chapter, ...]) -> str:
    minutes = {math.ceil(chapter.budget.total_seconds / 60) for chapter in chapters}
    seconds = {chapter.budget.cell_seconds for chapter in chapters}
    return (
        f"On the machine that grades, a cell may run for {min(seconds):g} seconds and a whole notebook for "
        f"{min(minutes)} minutes."
    )
