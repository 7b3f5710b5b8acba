"""`course prepare`."""

from pathlib import Path

import click

from grader.teaching.options import CLASS_OPTION, DB_OPTION


@click.command()
@click.argument("chapter_id", metavar="CHAPTER")
@CLASS_OPTION
@DB_OPTION
def prepare(chapter_id: str, folder: Path, db_url: str | None) -> None:
    """Make a class folder ready for CHAPTER before anybody has handed in.

    For classes that use nbgrader's own exchange or formgrader from the start: in the class folder,
    `nbgrader release_assignment CHAPTER` then gives the notebook to the students, and `nbgrader collect CHAPTER`
    puts what they submit where `course grade CHAPTER` finds it. Classes that collect in another way need no such
    step: `course grade` does the same at its first run. To do it twice does no harm.
    """
    from grader.course import find_root, load_course
    from grader.grading.preparing import prepare_class

    course = load_course(find_root())
    classroom = prepare_class(course, course.chapter(chapter_id), folder, db_url)
    click.echo(f"{classroom.root} is ready for {chapter_id}; nbgrader's commands work inside it")
