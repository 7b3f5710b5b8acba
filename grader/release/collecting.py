"""`course collect`: what a learning management system gives, put where `course grade` looks."""

from pathlib import Path

import click

from grader.teaching.options import CLASS_OPTION


@click.command()
@click.argument("chapter_id", metavar="CHAPTER")
@click.argument("archives", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ARCHIVE...")
@CLASS_OPTION
@click.option(
    "--pattern",
    metavar="REGEX",
    help="How a name in the archive tells the student: a regular expression for the whole name with a group "
    "(?P<student>...), and (?P<file>...) where it matters.",
)
@click.option("--replace", is_flag=True, help="Take the archive's version where the class folder has another one.")
def collect(chapter_id: str, archives: tuple[Path, ...], folder: Path, pattern: str | None, replace: bool) -> None:
    """Unpack the notebooks of CHAPTER from zips into submitted/STUDENT/CHAPTER/.

    The names that Moodle and Canvas give to files are understood, and one folder for each student. Only notebooks
    are taken, also from zips within the zip; no path and no link of an archive is followed, and sizes are capped.

    A file that cannot be taken costs its own student and is named; the exit code is then 1 and the others are
    taken all the same. A submission that is there already is left alone unless --replace is given; what is replaced
    goes to replaced/ in the class folder. Two students of one name are refused rather than guessed.
    """
    from collections import Counter

    from grader.course import find_root, load_course
    from grader.errors import CourseError
    from grader.release.collect import collect as unpack

    course = load_course(find_root())
    chapter = course.chapter(chapter_id)
    taken = unpack(archives, chapter.id, folder, pattern, overwrite=replace)
    for each in taken:
        if each.words:
            click.echo(f"{each.student}: {each.state}: {each.words}", err=True)
    counts = Counter(each.state for each in taken)
    click.echo(", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no notebook found")
    if not taken:
        raise CourseError("the archive holds no notebook", "look into it: is it the download of this assignment?")
    left = counts["refused"] + counts["kept"]
    if left:
        raise CourseError(f"{left} of {len(taken)} were not taken", "see above; the others are in the class folder")
